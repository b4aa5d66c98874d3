"""A fake server with a driver that talks to it, and a clock that no test waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mailfleet.apis.hetzner.client import Clock, Connection
from mailfleet.dns.plan.zone import Plan, plan
from mailfleet.dns.providers.base import Driver
from mailfleet.dns.providers.hetzner import Hetzner
from mailfleet.dns.providers.hetzner.ptr import HetznerPtr
from mailfleet.dns.publish.ptr import AddressNames
from mailfleet.dns.records.ptr import PtrRecord, reverse_name
from mailfleet.dns.rrset import RRset
from mailfleet.model import Address
from mailfleet.secrets import Secret
from tests.fakes.hetzner.server import TOKEN, HetznerFake

ZONE = "shop.example"


class Time:
    """Time that passes where somebody waits, and only there."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.pause)


@contextmanager
def running(zone: str = ZONE) -> Iterator[HetznerFake]:
    """A fake with one zone; at the end every message must have been as the API describes it."""
    fake = HetznerFake()
    try:
        fake.project.add_zone(zone)
        yield fake
    finally:
        fake.close()
    assert fake.violations == []


def driver(
    fake: HetznerFake,
    time: Time | None = None,
    *,
    fleet: str = "prod",
    token: str = TOKEN,
    timeout: float = 5.0,
) -> Hetzner:
    clock = (time or Time()).clock()
    connection = Connection(Secret(token), fake.endpoint, clock, (timeout, timeout))
    return Hetzner(connection, fleet)


def ptr(fake: HetznerFake, reverse_names: Mapping[Address, str]) -> AddressNames:
    """The PTR records of the fake's project, planned for a fleet with these names."""
    connection = Connection(Secret(TOKEN), fake.endpoint, Time().clock(), (5.0, 5.0))
    return AddressNames(
        HetznerPtr(connection), wanted_ptr(reverse_names), lambda name: name.endswith(ZONE)
    )


def wanted_ptr(reverse_names: Mapping[Address, str]) -> list[PtrRecord]:
    return [PtrRecord(a, name, 300, reverse_name(a)) for a, name in reverse_names.items()]


def push(
    to: Driver[Any],
    wanted: Iterable[RRset],
    *,
    adopt: Iterable[str] = (),
    between: Callable[[], object] = lambda: None,
    zone: str = ZONE,
) -> Plan:
    """Read, plan, audit and apply, as a push does."""
    snapshot = to.read(zone)
    planned = plan(snapshot, wanted, adopt=tuple(adopt))
    assert to.audit(planned, snapshot) == ()
    between()
    if not planned.is_empty:
        to.apply(planned, snapshot)
    return planned


def stored(fake: HetznerFake, name: str, rtype: str) -> dict[str, str]:
    """Values and comments of an RRset."""
    found = fake.project.rrsets[ZONE].get((name, rtype), {"records": []})
    return {record["value"]: record["comment"] for record in found["records"]}
