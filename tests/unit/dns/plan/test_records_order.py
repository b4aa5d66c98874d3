"""The order of a push: whoever is to pass before and after passes all the way between."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.order import ordered
from mailfleet.dns.plan.ownership import slots_of
from mailfleet.dns.plan.zone import Zone, plan
from mailfleet.dns.records.spf import sender_records
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.dns.spf.check_host import check_host
from mailfleet.model import Address, Spf

pytestmark = pytest.mark.unit

ZONE = "shop.example"
Content = dict[tuple[str, str], RRset]


def one_by_one(old: Sequence[RRset], new: Sequence[RRset]) -> list[Content]:
    """What the zone holds after each single change of the plan, the state before it included."""
    made = plan(Zone(ZONE, tuple(old), slots_of(old)), new)
    states: list[Content] = [{record.key: record for record in old}]
    for change in made.changes:
        content = dict(states[-1])
        content.pop(change.key, None)
        if change.new:
            content[change.key] = change.new
        states.append(content)
    assert states[-1] == {record.key: record for record in new}
    return states


def address(number: int) -> Address:
    # Neighbours, that become blocks, and some that do not.
    return ip_address(f"203.0.{number // 100}.{number % 100 * (1 + number // 100)}")


def spf(numbers: set[int]) -> list[RRset]:
    addresses = [address(number) for number in numbers]
    made = sender_records(ZONE, Spf(), addresses)
    return [rrset(name, "TXT", 300, txt(text)) for name, text in made.items()]


numbers = st.sets(st.integers(0, 250), min_size=1, max_size=110)


@given(numbers, numbers)
def test_addresses_that_stay_pass_all_the_time(before: set[int], after: set[int]) -> None:
    for content in one_by_one(spf(before), spf(after)):

        def lookup(name: str, rtype: str, content: Content = content) -> Sequence[str]:
            return content[name, rtype].values if (name, rtype) in content else ()

        for number in before & after:
            judged = check_host(address(number), ZONE, lookup)
            assert judged.verdict == "pass", judged.reason


def _change(name: str, rtype: str, old: Sequence[str] = (), new: Sequence[str] = ()) -> Change:
    full = f"{name}.{ZONE}" if name else ZONE
    return Change(
        rrset(full, rtype, 300, *old) if old else None,
        rrset(full, rtype, 300, *new) if new else None,
    )


def test_what_mail_needs_comes_first_and_what_goes_last() -> None:
    key, spf_old, spf_new = txt("v=DKIM1; p=QQ=="), txt("v=spf1 a -all"), txt("v=spf1 mx -all")
    changes = {
        "old address of SPF": _change("", "TXT", [spf_old], [spf_new]),
        "old key": _change("old._domainkey", "TXT", [key]),
        "policy": _change("_dmarc", "TXT", (), [txt("v=DMARC1; p=reject")]),
        "MX": _change("", "MX", (), ["10 mta1.shop.example."]),
        "new SPF": _change("bounce", "TXT", (), [spf_new]),
        "new key": _change("new._domainkey", "TXT", (), [key]),
        "address": _change("mta1", "A", (), ["203.0.113.1"]),
        "alias in the way": _change("mta1", "CNAME", ["x.example."]),
    }
    names = {change: name for name, change in changes.items()}
    assert [names[change] for change in ordered(changes.values())] == [
        "alias in the way",
        "address",
        "new key",
        "new SPF",
        "MX",
        "policy",
        "old key",
        "old address of SPF",
    ]


def test_a_record_makes_room_for_an_alias() -> None:
    changes = [
        _change("smtp", "CNAME", (), ["mta1.shop.example."]),
        _change("smtp", "A", ["203.0.113.1"]),
        _change("smtp", "AAAA", ["2001:db8::1"]),
    ]
    assert [change.key[1] for change in ordered(changes)] == ["A", "AAAA", "CNAME"]
