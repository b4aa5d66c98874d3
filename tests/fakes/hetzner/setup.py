"""A fake server with a driver that talks to it, and a clock that no test waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from mailfleet.apis.hetzner.client import Clock, Connection
from mailfleet.dns.plan.zone import Plan, plan
from mailfleet.dns.providers.hetzner import Hetzner
from mailfleet.dns.records.desired import reverse_name
from mailfleet.dns.rrset import RRset, rrset
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
    reverse_names: Mapping[Address, str] | None = None,
) -> Hetzner:
    clock = (time or Time()).clock()
    connection = Connection(Secret(token), fake.endpoint, clock, (timeout, timeout))
    wanted = {
        address: rrset(reverse_name(address), "PTR", 300, f"{name}.")
        for address, name in (reverse_names or {}).items()
    }
    return Hetzner(connection, fleet, lambda: wanted, lambda name: name.endswith(ZONE))


def push(
    to: Hetzner,
    wanted: Iterable[RRset],
    *,
    adopt: Iterable[str] = (),
    between: Callable[[], object] = lambda: None,
    zone: str = ZONE,
) -> Plan:
    """Read, plan, audit and apply, as a push does."""
    made = plan(to.read(zone), wanted, adopt=tuple(adopt))
    assert to.audit(made) == ()
    between()
    if not made.is_empty:
        to.apply(made)
    return made


def stored(fake: HetznerFake, name: str, rtype: str) -> dict[str, str]:
    """Values and comments of an RRset."""
    found = fake.project.rrsets[ZONE].get((name, rtype), {"records": []})
    return {record["value"]: record["comment"] for record in found["records"]}
