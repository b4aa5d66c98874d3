"""How much a plan may replace or delete without --force."""

from __future__ import annotations

import pytest

from mailfleet.dns.plan.zone import Zone, plan
from mailfleet.dns.rrset import RRset, rrset, txt
from tests.unit.dns.plan.test_plan import VERIFICATION, ZONE, carried_out

pytestmark = pytest.mark.unit

TEN = [rrset(f"h{n}.{ZONE}", "A", 60, f"203.0.113.{n}") for n in range(10)]


@pytest.mark.parametrize(("left", "safe"), [(8, True), (6, False)])
def test_a_plan_that_deletes_an_unusual_share_needs_force(left: int, safe: bool) -> None:
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), TEN))
    made = plan(zone, TEN[:left])
    assert (made.unsafe == ()) is safe
    if not safe:
        assert made.unsafe == ("would delete 4 of our 10 records, more than 30%",)


def each_with(*values: str, rtype: str = "A", ttl: int = 60) -> list[RRset]:
    return [rrset(f"h{n}.{ZONE}", rtype, ttl, *values) for n in range(10)]


def spf_with(*terms: str) -> list[RRset]:
    return each_with(txt(" ".join(("v=spf1", *terms))), VERIFICATION, rtype="TXT")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (each_with("192.0.2.1"), each_with("192.0.2.1", "192.0.2.2")),
        (TEN, [*TEN, *each_with("2001:db8::1", rtype="AAAA")]),
        (spf_with("ip4:192.0.2.1", "-all"), spf_with("ip4:192.0.2.1", "ip4:192.0.2.9", "-all")),
        # A block that holds the address.
        (spf_with("ip4:192.0.2.1", "-all"), spf_with("ip4:192.0.2.0/31", "-all")),
    ],
    ids=["addresses", "records", "senders", "a block"],
)
def test_what_only_adds_needs_no_force(before: list[RRset], after: list[RRset]) -> None:
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), before))
    made = plan(zone, after)
    assert len(made.changes) == 10
    assert made.unsafe == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (each_with("192.0.2.1"), each_with("192.0.2.2")),
        (each_with("192.0.2.1"), each_with("192.0.2.1", "192.0.2.2", ttl=61)),
        (each_with("192.0.2.1", "192.0.2.2"), each_with("192.0.2.1")),
        (spf_with("ip4:192.0.2.1", "-all"), spf_with("ip4:192.0.2.2", "-all")),
        (spf_with("ip4:192.0.2.1", "~all"), spf_with("ip4:192.0.2.1", "-all")),
        (
            spf_with("include:a.example", "-all"),
            spf_with("-ip4:192.0.2.2", "include:a.example", "-all"),
        ),
        (spf_with("ip4:192.0.2.1"), spf_with("ip4:192.0.2.1", "redirect=a.example")),
        (
            spf_with("ip4:192.0.2.1", "-all"),
            each_with(txt("v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"), rtype="TXT"),
        ),
    ],
    ids=[
        *("replaced", "ttl", "removed", "other senders", "stricter", "a term that fails"),
        *("a redirect", "a text that goes"),
    ],
)
def test_what_replaces_something_needs_force(before: list[RRset], after: list[RRset]) -> None:
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), before))
    assert plan(zone, after).unsafe == ("would change 10 of our 10 records, more than 30%",)
