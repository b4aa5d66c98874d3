"""The Hetzner driver with made-up zones: a push is complete, and foreign records stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.dns.plan.ownership import slot_of
from mailfleet.dns.plan.zone import plan
from mailfleet.dns.rrset import RRset, octets, rrset, txt
from mailfleet.errors import MailfleetError
from tests.fakes.hetzner.faults import Fault
from tests.fakes.hetzner.setup import ZONE, driver, push, running, stored

pytestmark = pytest.mark.unit

names = st.sampled_from(["@", "a", "b", "_dmarc", "k._domainkey"])
texts = st.one_of(
    st.binary(max_size=600).map(txt),
    st.sampled_from(["v=spf1 -all", "v=spf1 a -all", "v=DMARC1; p=none", "check=1"]).map(txt),
)
addresses = st.integers(1, 6).map(lambda n: f"203.0.113.{n}")
kinds = {"A": addresses, "TXT": texts, "MX": st.sampled_from(["10 a.example.", "20 b.example."])}


def zones(*types: str) -> st.SearchStrategy[list[RRset]]:
    one = st.one_of(
        *(
            st.builds(
                lambda name, ttl, values, rtype=rtype: rrset(_full(name), rtype, ttl, *values),
                names,
                st.sampled_from([60, 300]),
                st.lists(kinds[rtype], min_size=1, max_size=3),
            )
            for rtype in types
        )
    )
    return st.lists(one, max_size=6, unique_by=lambda record: record.key)


def _full(name: str) -> str:
    return ZONE if name == "@" else f"{name}.{ZONE}"


faults: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["answer", "drop"]),
            "status": st.sampled_from([500, 503]),
            "after": st.booleans(),
            "method": st.sampled_from(["GET", "POST|DELETE"]),
            "path": st.just("/zones/.*/rrsets|actions"),
            "times": st.integers(1, 6),
        }
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=40)
@given(zones("A", "TXT", "MX"), zones("A", "TXT", "MX"), zones("A", "TXT"), faults)
def test_push_then_plan_is_empty_and_foreign_values_stay(
    foreign: list[RRset], first: list[RRset], second: list[RRset], wrong: list[dict[str, Any]]
) -> None:
    with running() as fake:
        for record in foreign:
            name = "@" if record.name == ZONE else record.name.removesuffix(f".{ZONE}")
            fake.project.put(ZONE, name, record.type, record.ttl, *record.values)
        before = {key: stored(fake, *key) for key in fake.project.rrsets[ZONE]}
        for wanted in (first, second, []):
            fake.faults = [Fault(**fault) for fault in wrong]
            try:
                push(driver(fake), wanted)
            except MailfleetError:
                # Faults may last longer than the patience; what is left is for the next push.
                fake.faults = []
                push(driver(fake), wanted)
            fake.faults = []
            to = driver(fake)
            found = to.read(ZONE)
            made = plan(found, wanted)
            assert made.is_empty
            _everything_there(wanted, {r.key: set(r.values) for r in found.records}, made.conflicts)
            for key, records in before.items():
                after = stored(fake, *key)
                assert records.items() <= after.items()
        # All that was ours is gone again.
        assert {key: stored(fake, *key) for key in fake.project.rrsets[ZONE]} == before


def _everything_there(
    wanted: list[RRset], found: dict[tuple[str, str], set[str]], conflicts: Any
) -> None:
    blocked = {slot for conflict in conflicts for slot in conflict.wanted}
    for record in wanted:
        for value in record.values:
            there = value in found.get(record.key, set())
            assert there or slot_of(*record.key, value) in blocked


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=1200), min_size=1, max_size=5, unique=True))
def test_any_octets_survive(contents: list[bytes]) -> None:
    with running() as fake:
        wanted = [rrset(ZONE, "TXT", 300, *map(txt, contents))]
        push(driver(fake), wanted)
        [record] = driver(fake).read(ZONE).records
        assert sorted(map(octets, record.values)) == sorted(contents)
        assert plan(driver(fake).read(ZONE), wanted).is_empty
