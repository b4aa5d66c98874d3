"""How many requests publishing takes: 100 zones of 20 record sets at stand-ins of both providers.

The stand-ins keep state and speak the real SDKs' protocol over loopback, without the delay of the
Internet; what the providers let us wait for (actions, rate limits) passes on paper. So the number of
requests is the figure, and the time is our own work.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench import dns_fleet, site
from bench.figures import Figure, Result, Target
from mailfleet.dns.plan.zone import plan
from mailfleet.dns.providers.base import Driver
from mailfleet.dns.rrset import RRset, rrset
from tests.fakes.cloudflare.account import Account
from tests.fakes.cloudflare.server import FakeCloudflare
from tests.fakes.cloudflare.setting import Setting
from tests.fakes.hetzner.server import HetznerFake
from tests.fakes.hetzner.setup import driver as hetzner_driver

NAME = "dns"
_ZONES = 100
_RRSETS = 20


@dataclass(frozen=True)
class _Provider:
    name: str
    open: Callable[[], Driver[Any]]
    requests: Callable[[], int]


def run() -> Result:
    """A first push, a plan without changes, and one changed address, at each provider."""
    figures: list[Figure] = []
    # A chain, not a list: each stand-in runs only while its turn lasts.
    for provider in itertools.chain(_cloudflare(), _hetzner()):
        site.say(f"dns: {provider.name}")
        for what, host, target in (
            ("first push", 1, None),
            ("plan without changes", 1, Target("at most", 2 * _ZONES + 1)),
            ("push of one changed address per zone", 2, None),
        ):
            before, began = provider.requests(), time.monotonic()
            _push(provider, host)
            seconds = time.monotonic() - began
            count = provider.requests() - before
            figures.append(Figure(f"{provider.name}, {what}: requests", count, "", target))
            figures.append(Figure(f"{provider.name}, {what}: our time", seconds, "s"))
    return Result(
        NAME,
        f"{_ZONES} zones of {_RRSETS} record sets each, with one driver per run as a push opens it, "
        "before stand-ins that keep state. A plan without changes may take one request to find a "
        "zone and one to list it. `mailfleet dns plan` of a whole fleet, whose hosts have two "
        "addresses each, is measured by the processor time of its process; the control is a second "
        "round, and half of the fleet shows how the time grows.",
        (*figures, *dns_fleet.figures()),
    )


def _push(provider: _Provider, host: int) -> None:
    driver = provider.open()
    for number in range(_ZONES):
        snapshot = driver.read(_zone(number))
        made = plan(snapshot, _records(_zone(number), host))
        if not made.is_empty:
            driver.apply(made, snapshot)


def _zone(number: int) -> str:
    return f"shop{number}.example"


def _records(zone: str, host: int) -> Iterator[RRset]:
    yield rrset(f"mta.{zone}", "A", 3600, f"203.0.113.{host}")
    yield rrset(zone, "MX", 3600, f"10 mta.{zone}.")
    for number in range(_RRSETS - 2):
        yield rrset(
            f"s{number}._domainkey.{zone}", "TXT", 3600, f'"v=DKIM1; k=rsa; p={number}AAAA"'
        )


def _cloudflare() -> Iterator[_Provider]:
    account = Account()
    fake = FakeCloudflare(account, validate=False)
    try:
        setting = Setting(fake, account.zone(_zone(0)))
        for number in range(1, _ZONES):
            account.zone(_zone(number))
        yield _Provider("Cloudflare", setting.driver, lambda: len(fake.requests))
    finally:
        fake.close()


def _hetzner() -> Iterator[_Provider]:
    fake = HetznerFake(validate=False)
    try:
        for number in range(_ZONES):
            fake.project.add_zone(_zone(number))
        yield _Provider("Hetzner", lambda: hetzner_driver(fake), lambda: len(fake.requests))
    finally:
        fake.close()
