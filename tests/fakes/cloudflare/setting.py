"""A driver before the stand-in, with a clock that only counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mailfleet.dns.plan.zone import Plan, plan
from mailfleet.dns.providers.base import Snapshot
from mailfleet.dns.providers.cloudflare import Cloudflare
from mailfleet.dns.providers.cloudflare.records import Rules, ZoneRecords
from mailfleet.dns.rrset import RRset
from mailfleet.secrets import Secret
from tests.fakes.cloudflare.account import Account, FakeZone
from tests.fakes.cloudflare.server import FakeCloudflare

ZONE = "shop.example"
TTL = 3600


@dataclass
class Counter:
    """Time that passes only on paper."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)


@dataclass
class Setting:
    """An account with one zone, and drivers for it."""

    fake: FakeCloudflare
    zone: FakeZone
    clock: Counter = field(default_factory=Counter)
    snapshot: Snapshot[ZoneRecords] = field(init=False)
    """What `plan` made its last plan from."""

    def driver(
        self, *proxied: str, fleet: str = "prod", token: str = "", **options: Any
    ) -> Cloudflare:
        return Cloudflare(
            Secret(token or self.fake.account.token),
            Rules(fleet, frozenset(proxied), lambda _: TTL),
            endpoint=self.fake.endpoint,
            sleep=self.clock.sleep,
            **{"timeout": 10.0, **options},
        )

    def plan(self, wanted: Iterable[RRset], driver: Cloudflare | None = None, **more: Any) -> Plan:
        self.snapshot = (driver or self.driver()).read(self.zone.name)
        return plan(self.snapshot, wanted, **more)

    def push(self, wanted: Iterable[RRset], driver: Cloudflare | None = None, **more: Any) -> Plan:
        driver = driver or self.driver()
        planned = self.plan(wanted, driver, **more)
        assert driver.audit(planned, self.snapshot) == ()
        driver.apply(planned, self.snapshot)
        return planned

    def foreign(self) -> set[tuple[str, str, str, int, bool]]:
        """All records without a mark of ours."""
        return {
            (r["type"], r["name"], r["content"], r["ttl"], r["proxied"])
            for r in self.zone.records.values()
            if not r.get("comment", "").startswith("mailfleet:")
        }


@contextmanager
def setting(zone: str = ZONE, *, validate: bool = True) -> Iterator[Setting]:
    """The stand-in while it runs; at the end all traffic must have been to the specification."""
    account = Account()
    fake = FakeCloudflare(account, validate=validate)
    try:
        yield Setting(fake, account.zone(zone))
    finally:
        fake.close()
    assert fake.violations == []
