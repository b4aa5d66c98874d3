"""SPF records: as few terms as possible, short enough to be read, and nobody else's address in them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.dns.lookup import Lookup, with_own
from mailfleet.dns.records.spf import LONGEST, address_terms, sender_records
from mailfleet.dns.rrset import txt
from mailfleet.dns.spf import budget
from mailfleet.dns.spf.check_host import check_host
from mailfleet.model import Address, Spf

pytestmark = pytest.mark.unit

NAME = "shop.example"
PLAIN = Spf()


def v4(number: int) -> Address:
    return ip_address(f"203.0.{number // 256}.{number % 256}")


def nothing(name: str, rtype: str) -> Sequence[str]:
    return ()


def published(records: dict[str, str]) -> Lookup:
    return with_own({(name, "TXT"): [txt(text)] for name, text in records.items()}, nothing)


def test_neighbours_become_a_block_where_it_is_wholly_ours() -> None:
    texts = ["203.0.113.8", "203.0.113.9", "203.0.113.10", "203.0.113.11", "203.0.113.12"]
    assert address_terms(map(ip_address, texts)) == ["ip4:203.0.113.8/30", "ip4:203.0.113.12"]
    # .9 and .10 stand in different pairs.
    assert address_terms(map(ip_address, texts[1:3])) == ["ip4:203.0.113.9", "ip4:203.0.113.10"]
    both = [ip_address("2001:db8::2"), ip_address("2001:db8::3")]
    assert address_terms(both) == ["ip6:2001:db8::2/127"]


def test_a_short_record_stands_alone() -> None:
    made = sender_records(
        NAME, Spf(includes=("spf.esp.example",), all="~all"), [ip_address("203.0.113.1")]
    )
    assert made == {NAME: "v=spf1 ip4:203.0.113.1 include:spf.esp.example ~all"}


def test_a_long_one_is_spread() -> None:
    made = sender_records(
        NAME, Spf(includes=("spf.esp.example",), all="~all"), map(v4, range(0, 120, 2))
    )
    assert list(made) == [NAME, f"_spf.{NAME}", f"_spf2.{NAME}", f"_spf3.{NAME}"]
    assert made[NAME] == (
        f"v=spf1 include:_spf.{NAME} include:_spf2.{NAME} include:_spf3.{NAME} "
        "include:spf.esp.example ~all"
    )


addresses = st.lists(
    st.one_of(
        st.integers(0, 600).map(v4),
        st.integers(0, 400).map(lambda n: ip_address(f"2001:db8::{n:x}")),
    ),
    min_size=1,
    max_size=90,
    unique=True,
)


@given(addresses, st.integers(0, 600).map(v4))
def test_exactly_the_given_addresses_pass(ours: list[Address], other: Address) -> None:
    made = sender_records(NAME, PLAIN, ours)
    assert all(len(text) <= LONGEST for text in made.values())
    lookup = published(made)
    for address in ours:
        assert check_host(address, NAME, lookup).verdict == "pass"
    assert (check_host(other, NAME, lookup).verdict == "pass") is (other in ours)


def test_what_is_included_counts_to_the_bottom() -> None:
    records = {
        NAME: "v=spf1 include:one.example include:two.example a mx -all",
        "one.example": "v=spf1 include:deep.example a:host.example -all",
        "deep.example": "v=spf1 " + "exists:%{i}.example " * 5 + "-all a:never.example",
        "two.example": "v=spf1 redirect=gone.example",
    }
    tree = budget.tree(NAME, published(records))
    # 2 includes, a, mx; below: include, a, 5 exists; redirect.
    assert tree.total == 12
    assert tree.void == 3
    problems = budget.problems(tree)
    assert problems == [
        "redirect=gone.example: has no SPF record",
        "needs 12 look-ups, and receivers stop at 10 (RFC 7208 §4.6.4)",
        "leads to 3 names without an answer, and receivers stop at 2 (RFC 7208 §4.6.4)",
    ]
    drawn = list(budget.drawn(tree))
    assert drawn[0] == "shop.example: 12 look-ups"
    assert drawn[1] == "  include:one.example: 8 look-ups"
    assert "    include:deep.example: 6 look-ups" in drawn
    assert "    redirect=gone.example: 1 look-up, has no SPF record" in drawn


def test_a_circle_is_found() -> None:
    records = {NAME: "v=spf1 include:b.example -all", "b.example": f"v=spf1 include:{NAME} -all"}
    tree = budget.tree(NAME, published(records))
    assert budget.problems(tree) == [f"include:{NAME}: includes itself"]


@pytest.mark.parametrize(
    "foreign", ["redirect=SHOP.example.", "include:Shop.Example -all", "?include:c.example -all"]
)
def test_a_foreign_record_that_leads_back_is_found(foreign: str) -> None:
    records = {
        NAME: "v=spf1 include:b.example -all",
        "b.example": f"v=spf1 {foreign}",
        "c.example": f"v=spf1 redirect={NAME.upper()}.",
    }
    [problem] = budget.problems(budget.tree(NAME, published(records)))
    assert problem.endswith(": includes itself")


def test_ten_are_allowed() -> None:
    records = {NAME: "v=spf1 " + "exists:%{i}.example " * 10 + "-all"}
    assert budget.problems(budget.tree(NAME, published(records))) == []


@pytest.mark.parametrize("target", ["foo..bar.example", f"{'a' * 70}.example"])
def test_a_malformed_name_in_a_foreign_record_is_a_finding(target: str) -> None:
    """Not an exception: one bad record inside an include must not stop a whole fleet's push."""
    records = {
        NAME: "v=spf1 include:esp.example -all",
        "esp.example": f"v=spf1 include:{target} -all",
    }
    found = budget.problems(budget.tree(NAME, published(records)))
    assert found == [f"include:{target}: names no domain"]
