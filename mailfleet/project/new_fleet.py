"""From what a user says of a fleet to come to what its files are made of."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from mailfleet.errors import ConfigurationError, Problem
from mailfleet.model import Address
from mailfleet.model.addresses import parse_address
from mailfleet.model.names import domain_name
from mailfleet.model.values import one_of_each_family
from mailfleet.project.init import NewFleet, NewHost
from mailfleet.project.inventory import region_fault

_MOST_REGIONS = 50
_EXAMPLE = ip_address("192.0.2.10")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Wishes:
    """The options of `mailfleet init`, as written."""

    domain: str | None = None
    provider: str | None = None
    server: str | None = None
    key: str | None = None
    regions: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Each `REGION=ADDRESS[,ADDRESS]`."""


def new_fleet(wishes: Wishes) -> NewFleet:
    """The fleet that is wished for; ConfigurationError with everything that is wrong or missing."""
    problems = list(_missing(wishes))
    domain = _checked("--domain", domain_name, wishes.domain or "", problems)
    addresses: dict[str, list[tuple[Address, ...]]] = {}
    for text in wishes.regions:
        if (region := _checked("--region", region_name, text or " ", problems)) is not None:
            addresses.setdefault(region, [])
    for text in wishes.hosts:
        if (host := _checked("--host", _host, text or " ", problems)) is not None:
            addresses.setdefault(host[0], []).append(host[1])
    if len(addresses) > _MOST_REGIONS:
        problems.append(Problem("", "--region", f"is given more than {_MOST_REGIONS} times"))
    if problems or domain is None:
        raise ConfigurationError(problems)
    regions = {}
    for number, (region, hosts) in enumerate((addresses or {"eu": []}).items()):
        example: tuple[Address, ...] = (_EXAMPLE + 2 * number,)
        regions[region] = tuple(
            NewHost(f"mta{n}.{region}.{domain}", own) for n, own in enumerate(hosts or [example], 1)
        )
    return NewFleet(domain, wishes.provider or "manual", regions, wishes.server, wishes.key)


def _missing(wishes: Wishes) -> Iterator[Problem]:
    if not wishes.domain:
        yield Problem("", "--domain", "is missing; name what mail is sent as")
    if wishes.provider == "rfc2136":
        for option, value in {"--server": wishes.server, "--key": wishes.key}.items():
            if not value:
                yield Problem("", option, "is missing; provider rfc2136 needs it")


def _checked(
    option: str, convert: Callable[[str], _T], text: str, problems: list[Problem]
) -> _T | None:
    """What an option means; None, with a problem more, where it means nothing."""
    try:
        return convert(text) if text else None
    except ValueError as error:
        problems.append(Problem("", option, str(error)))
        return None


def region_name(text: str) -> str:
    """The name of a region, which is one in Python too."""
    if fault := region_fault(text):
        raise ValueError(f"{text!r} {fault}")
    if keyword.iskeyword(text) or not text.isidentifier():
        raise ValueError(f"{text!r} is no name in Python, as a region is; take e.g. region{text}")
    return text


def split_hosts(text: str) -> tuple[Address, ...]:
    """The addresses of one host: an IPv4 and/or an IPv6 one, with a comma between them."""
    return one_of_each_family(tuple(parse_address(word.strip()) for word in text.split(",")))


def _host(text: str) -> tuple[str, tuple[Address, ...]]:
    region, equals, addresses = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} names no region; write e.g. eu={text}")
    return region_name(region), split_hosts(addresses)
