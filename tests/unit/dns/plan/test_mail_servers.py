"""MX records lead to addresses: what the zone itself would hold is looked at before a push."""

from __future__ import annotations

import pytest

from mailfleet.dns.plan.mail_servers import mx_without_address
from mailfleet.dns.plan.zone import Zone
from mailfleet.dns.rrset import RRset, rrset, txt

pytestmark = pytest.mark.unit

ZONE = "shop.example"
TEXT = rrset(ZONE, "TXT", 60, txt("v=spf1 -all"))


def a(name: str) -> RRset:
    return rrset(name, "A", 60, "192.0.2.1")


def mx(*targets: str) -> RRset:
    return rrset(ZONE, "MX", 60, *(f"10 {target}." for target in targets))


@pytest.mark.parametrize("target", [ZONE, f"bounce.{ZONE}", f"mx1.{ZONE}"])
def test_a_target_without_address_is_named(target: str) -> None:
    reasons = mx_without_address(Zone(ZONE, (TEXT, a(f"www.{ZONE}"))), [mx(target), TEXT])
    assert reasons.keys() == {(ZONE, "MX")}
    assert f"{target} has no address in this zone" in reasons[ZONE, "MX"]


@pytest.mark.parametrize(
    ("there", "target"),
    [
        ((a(ZONE),), ZONE),
        # Some providers answer for an alias at the apex with addresses.
        ((rrset(ZONE, "CNAME", 60, "web.example."),), ZONE),
        ((RRset(ZONE, "ALIAS", 60, ("web.example.",)),), ZONE),
        ((a(f"*.{ZONE}"),), f"mx1.{ZONE}"),
        ((rrset(f"in.{ZONE}", "NS", 60, "ns.example."),), f"mx1.in.{ZONE}"),
        ((rrset(f"in.{ZONE}", "DNAME", 60, "other.example."),), f"mx1.in.{ZONE}"),
        ((), "mx1.office.example"),
        ((), f"mx1.other-{ZONE}"),
    ],
    ids=["address", "alias", "ALIAS", "wildcard", "delegated", "DNAME", "elsewhere", "suffix"],
)
def test_a_target_that_may_have_one_is_right(there: tuple[RRset, ...], target: str) -> None:
    assert mx_without_address(Zone(ZONE, there), [mx(target)]) == {}


def test_an_address_of_the_same_push_counts() -> None:
    assert mx_without_address(Zone(ZONE, ()), [mx(f"mta1.{ZONE}"), a(f"mta1.{ZONE}")]) == {}


def test_a_null_mx_leads_nowhere_on_purpose() -> None:
    # RFC 7505.
    assert mx_without_address(Zone(ZONE, ()), [rrset(ZONE, "MX", 60, "0 .")]) == {}
