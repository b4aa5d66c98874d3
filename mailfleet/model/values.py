"""Single values of the tables: each check raises ValueError in words that a user can act on.

Only ValueError may leave a check: pydantic collects those and lets everything else through.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import AfterValidator

from mailfleet.model.addresses import Address, Network, parse_address, parse_network
from mailfleet.model.names import domain_name

# The characters of an RFC 5322 dot-atom that need no escape in a mailto URI inside a DMARC record,
# where "," separates addresses, "!" starts a size and ";" ends the tag.
_LOCAL_PART = re.compile(r"[A-Za-z0-9+=_~-]+(\.[A-Za-z0-9+=_~-]+)*")

_TAKEN = {
    "all": "all hosts and streams together",
    "fleet": "the whole fleet",
    "host": "a host's own address",
    "inbound": "the service that takes bounces and reports",
    "mailfleet": "this program",
    "own": "a host's own address",
    "postfix": "the instance that takes bounces and reports",
    "resolvconf": "a unit of Debian's Postfix",
}


def shown(value: object) -> str:
    """How a message names a value: a text or number as written, anything larger by its kind."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:77]!r}..."
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else "a number of more than 64 bits"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def as_tuple(value: object, single: type | tuple[()] = ()) -> object:
    """A list as a tuple; with `single`, one value of that type stands for a list of one.

    Sets are refused: their order, and with it everything derived, would change from run to run.
    """
    if single and isinstance(value, single):
        return (value,)
    if isinstance(value, (list, tuple)):
        return tuple(value)
    example = f"write [{value!r}]" if isinstance(value, str) and len(value) <= 80 else "write [...]"
    raise ValueError(f"{shown(value)} is not a list; {example}")


def at_least_one(values: tuple[str, ...]) -> tuple[str, ...]:
    """A list with something in it.

    Not pydantic's min_length, which also calls a list empty whose only element is wrong.
    """
    if not values:
        raise ValueError("is empty; give at least one")
    return values


def each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list in which nothing stands twice, once it is written in one way."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is listed twice; remove one")
    return values


def stream_name(name: str) -> str:
    """A name that no part of a mail host has already.

    The stream's instance, log, queue, messages and HELO names are called after it.
    """
    if use := _TAKEN.get(name):
        raise ValueError(f"{name!r} is the name of {use}; call the stream otherwise")
    return name


def distinct_keys(value: object) -> object:
    """A table in which no domain name is written twice, in other letters or with a dot at its end.

    Else the last one would win, and nobody would be told.
    """
    seen: dict[str, object] = {}
    for key in value if isinstance(value, dict) else ():
        try:
            name = domain_or_subdomains(key)
        except (ValueError, AttributeError):
            continue  # named by the check of the keys themselves
        if name in seen:
            raise ValueError(f"{shown(seen[name])} and {shown(key)} are the same name; keep one")
        seen[name] = key
    return value


def matching(pattern: str, rule: str) -> AfterValidator:
    """A check that a text matches `pattern` whole; `rule` tells the user the same in words."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"{shown(text)} does not fit; {rule}")
        return text

    return AfterValidator(check)


def parsed_address(value: object) -> Address:
    """The address that a text, or an address object of the standard library, means."""
    if isinstance(value, Address):
        return parse_address(str(value))
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)} is not an IP address; write e.g. "203.0.113.10"')
    return parse_address(value)


def parsed_network(value: object) -> Network:
    """The network that a text means."""
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)} is not a network; write e.g. "203.0.113.0/24"')
    return parse_network(value)


def ip_address_text(text: str) -> str:
    """The canonical text of an IP address."""
    return str(parse_address(text))


def one_of_each_family(group: tuple[Address, ...]) -> tuple[Address, ...]:
    """At most one IPv4 and one IPv6 address."""
    if len({address.version for address in group}) < len(group):
        listed = ", ".join(str(address) for address in group)
        raise ValueError(f"{listed}: give at most one IPv4 and one IPv6 address")
    return group


def secure_uri(text: str) -> str:
    """An https:// address whose host is a domain name, and whose port can be one."""
    host, _, port = text.removeprefix("https://").partition("/")[0].partition(":")
    domain_name(host)
    if port and not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(text)} names port {port}; write one from 1 to 65535, or none")
    return text


def mail_address(text: str) -> str:
    """A mail address, with or without `mailto:`, that can stand in a DMARC record as it is."""
    local, at, domain = text.removeprefix("mailto:").rpartition("@")
    if not at or _LOCAL_PART.fullmatch(local) is None:
        raise ValueError(f"{shown(text)} is not a mail address; write e.g. reports@example.com")
    if len(local) > 64:  # RFC 5321 §4.5.3.1.1
        raise ValueError(f"{shown(text)} has more than 64 characters before the @; shorten them")
    return f"{local}@{domain_name(domain)}"


def domain_or_subdomains(text: str) -> str:
    """A domain name; with a leading dot it means all subdomains."""
    return f".{domain_name(text[1:])}" if text.startswith(".") else domain_name(text)


def ports_once(ports: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of `open_ports`: none is open to the same sources twice, nor to some where it is open to everybody."""
    for place, port in enumerate(ports):
        for other in ports[:place]:
            if (port.port, port.protocol) != (other.port, other.protocol):
                continue
            if set(port.sources) == set(other.sources) or not (port.sources and other.sources):
                text = (
                    "is listed twice"
                    if port.sources == other.sources
                    else "is open to everybody already"
                )
                raise ValueError(f"{port.protocol} port {port.port} {text}; remove one")
    return ports
