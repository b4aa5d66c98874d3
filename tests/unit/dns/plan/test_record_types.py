"""Each type of record that a fleet publishes has a place in the order, and in every driver."""

from __future__ import annotations

import pytest

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.order import ordered
from mailfleet.dns.plan.record_types import PURPOSES
from mailfleet.dns.providers.cloudflare.convert import WRITABLE, fields_of
from mailfleet.dns.providers.hetzner.batches import batches
from mailfleet.dns.providers.hetzner.convert import TYPES
from mailfleet.dns.rrset import RRset, rrset

pytestmark = pytest.mark.unit

NAME = "mta1.shop.example"
EXAMPLES = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CAA": '0 issue "ca.example"',
    "CNAME": "mta2.shop.example.",
    "MX": "10 mta2.shop.example.",
    "PTR": "mta2.shop.example.",
    "SRV": "0 0 465 mta2.shop.example.",
    "TLSA": "3 1 1 " + "ab" * 32,
    "TXT": '"v=spf1 -all"',
}
UNDECIDED = Change(None, RRset(NAME, "SSHFP", 300, ("4 2 " + "00" * 32,)))


def test_every_type_has_an_example_here() -> None:
    assert EXAMPLES.keys() == PURPOSES.keys()


@pytest.mark.parametrize("rtype", sorted(PURPOSES))
def test_every_driver_writes_it(rtype: str) -> None:
    record = rrset(NAME, rtype, 300, EXAMPLES[rtype])
    assert rtype in WRITABLE & TYPES
    assert fields_of(rtype, record.values[0])
    assert [*batches(ordered([Change(None, record)]))] == [(Change(None, record),)]


def test_a_type_that_nobody_decided_about_is_not_published_first() -> None:
    with pytest.raises(NotImplementedError, match="when SSHFP records are published"):
        ordered([UNDECIDED])
    with pytest.raises(NotImplementedError, match="when SSHFP records are published"):
        list(batches([UNDECIDED, UNDECIDED]))


def test_somebody_else_s_type_may_leave() -> None:
    assert ordered([Change(UNDECIDED.new, None)])
