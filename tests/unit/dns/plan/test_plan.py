"""Plans: only what is ours changes, and a second push finds nothing to do."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.dns.plan.compare import outstanding
from mailfleet.dns.plan.ownership import Owned, Slot, read_list, slot_of, write_list
from mailfleet.dns.plan.zone import Plan, Zone, plan
from mailfleet.dns.rrset import RRset, rrset, txt

pytestmark = pytest.mark.unit

ZONE = "shop.example"
SPF = txt("v=spf1 ip4:203.0.113.1 -all")
OLD_SPF = txt("v=spf1 include:_spf.esp.example ~all")
VERIFICATION = txt("google-site-verification=abc")


def carried_out(zone: Zone, made: Plan) -> Zone:
    """What a provider holds after the plan, its list of owned records included."""
    content = {record.key: record for record in zone.records}
    for change in made.changes:
        assert content.get(change.key) == change.old
        if change.new is None:
            del content[change.key]
        else:
            content[change.key] = change.new
    return read_again(zone.name, content.values(), made.owned_after)


def read_again(zone: str, records: Iterable[RRset], owned: Owned) -> Zone:
    """A zone with these records and the list of what was owned, as it is read."""
    found = tuple(records)
    lists = write_list(zone, "prod", owned, [], 300)
    return Zone(zone, found, read_list(zone, "prod", [*found, *lists]))


def joined(zone: Zone, additions: Iterable[RRset]) -> Zone:
    """The zone after somebody else has added values to it."""
    content = {record.key: record for record in zone.records}
    for record in additions:
        old = content.get(record.key)
        values = (*(old.values if old else ()), *record.values)
        content[record.key] = rrset(*record.key, old.ttl if old else record.ttl, *values)
    return read_again(zone.name, content.values(), zone.owned)


names = st.sampled_from([ZONE, f"a.{ZONE}", f"b.{ZONE}", f"_dmarc.{ZONE}", f"k._domainkey.{ZONE}"])
addresses = st.integers(1, 6).map(lambda n: f"203.0.113.{n}")
texts = st.one_of(
    st.binary(max_size=300).map(txt),
    st.sampled_from([SPF, OLD_SPF, VERIFICATION, txt("v=DMARC1; p=none")]),
)


def _records(types: Iterable[tuple[str, st.SearchStrategy[str]]]) -> st.SearchStrategy[list[RRset]]:
    one = st.one_of(
        *(
            st.builds(
                lambda name, ttl, values, rtype=rtype: rrset(name, rtype, ttl, *values),
                names,
                st.sampled_from([60, 300]),
                st.lists(value, min_size=1, max_size=3),
            )
            for rtype, value in types
        )
    )
    return st.lists(one, max_size=8, unique_by=lambda record: record.key)


ours = _records([("A", addresses), ("TXT", texts)])
theirs = _records(
    [("A", addresses), ("TXT", texts), ("CAA", st.just('0 issue "ca.example"'))],
)


@given(theirs, ours, ours)
def test_push_then_plan_is_empty(
    foreign: list[RRset], first: list[RRset], second: list[RRset]
) -> None:
    zone = Zone(ZONE, tuple(foreign))
    for wanted in (first, second, []):
        zone = carried_out(zone, plan(zone, wanted))
        again = plan(zone, wanted)
        assert again.is_empty


@given(theirs, ours, ours)
def test_foreign_values_stay(foreign: list[RRset], first: list[RRset], second: list[RRset]) -> None:
    zone = Zone(ZONE, tuple(foreign))
    for wanted in (first, second, []):
        zone = carried_out(zone, plan(zone, wanted))
        have = {record.key: set(record.values) for record in zone.records}
        for record in foreign:
            assert set(record.values) <= have.get(record.key, set())
    # All that was ours is gone again.
    left = {record.key: record.values for record in zone.records}
    assert left == {record.key: record.values for record in foreign}
    assert zone.owned == {}


@given(theirs, ours)
def test_without_conflicts_everything_wanted_is_there(
    foreign: list[RRset], wanted: list[RRset]
) -> None:
    zone = Zone(ZONE, tuple(foreign))
    made = plan(zone, wanted)
    after = {record.key: set(record.values) for record in carried_out(zone, made).records}
    blocked = {slot for conflict in made.conflicts for slot in conflict.wanted}
    for record in wanted:
        for value in record.values:
            there = value in after.get(record.key, set())
            assert there or slot_of(*record.key, value) in blocked


def test_a_foreign_spf_record_is_a_conflict() -> None:
    zone = Zone(ZONE, (rrset(ZONE, "TXT", 60, OLD_SPF, VERIFICATION),))
    made = plan(zone, [rrset(ZONE, "TXT", 300, SPF)])
    assert made.changes == ()
    [conflict] = made.conflicts
    assert "RFC 7208" in str(conflict)
    assert "--adopt 'shop.example/TXT'" in str(conflict)


def test_adopting_replaces_that_record_only() -> None:
    zone = Zone(ZONE, (rrset(ZONE, "TXT", 60, OLD_SPF, VERIFICATION),))
    made = plan(zone, [rrset(ZONE, "TXT", 300, SPF)], adopt=["shop.example/TXT"])
    assert made.conflicts == ()
    [change] = made.changes
    assert change.new == rrset(ZONE, "TXT", 60, SPF, VERIFICATION)
    assert made.owned_after == {Slot(ZONE, "TXT", "spf1"): {SPF}}


def test_a_second_spf_record_beside_ours_is_a_conflict() -> None:
    wanted = [rrset(ZONE, "TXT", 300, SPF)]
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), wanted))
    second = Zone(ZONE, (rrset(ZONE, "TXT", 300, SPF, OLD_SPF),), zone.owned)
    made = plan(second, wanted)
    assert made.changes == ()
    assert "stands there beside ours" in str(made.conflicts[0])
    made = plan(second, wanted, adopt=["shop.example/TXT"])
    assert [change.new for change in made.changes] == wanted


KEY, REPORTS = f"k1._domainkey.{ZONE}", f"_smtp._tls.{ZONE}"


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        (KEY, txt("v=DKIM1; k=rsa; p=QUJD"), txt("v=DKIM1; k=rsa; p=REVG")),
        (
            REPORTS,
            txt("v=TLSRPTv1; rua=mailto:a@b.example"),
            txt("v=TLSRPTv1; rua=mailto:c@d.example"),
        ),
        (ZONE, SPF, OLD_SPF),
        (f"_dmarc.{ZONE}", txt("v=DMARC1; p=reject"), txt("v = DMARC1 ; p=none")),
    ],
)
def test_a_second_text_of_the_same_kind_is_never_removed(name: str, ours: str, theirs: str) -> None:
    wanted = [rrset(name, "TXT", 300, ours)]
    zone = joined(
        carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), wanted)), [rrset(name, "TXT", 300, theirs)]
    )
    made = plan(zone, wanted)
    assert made.changes == ()
    [conflict] = made.conflicts
    assert conflict.existing == (theirs,)
    assert "stands there beside ours" in str(conflict)
    # No longer wanted, ours goes and theirs stays.
    left = carried_out(zone, plan(zone, []))
    assert left.records == (rrset(name, "TXT", 300, theirs),)
    assert left.owned == {}


def test_addresses_that_others_add_beside_ours_stay() -> None:
    name = f"mta1.{ZONE}"
    first, second = [rrset(name, "A", 300, f"203.0.113.{n}") for n in (1, 2)]
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), [first]))
    zone = joined(zone, [rrset(name, "A", 300, "198.51.100.7")])
    assert plan(zone, [first]).is_empty
    zone = carried_out(zone, plan(zone, [second]))
    assert zone.records == (rrset(name, "A", 300, "198.51.100.7", "203.0.113.2"),)
    # What we want and somebody else has put there already is not ours, also later.
    both = [rrset(name, "A", 300, "198.51.100.7", "203.0.113.2")]
    zone = carried_out(zone, plan(zone, both))
    assert carried_out(zone, plan(zone, [])).records == (rrset(name, "A", 300, "198.51.100.7"),)


@given(ours, theirs, ours, theirs)
def test_values_added_at_any_time_stay(
    first: list[RRset], early: list[RRset], second: list[RRset], late: list[RRset]
) -> None:
    zone = Zone(ZONE, ())
    added: dict[tuple[str, str], set[str]] = {}
    for wanted, additions in ((first, early), (second, late), ([], [])):
        zone = carried_out(zone, plan(zone, wanted))
        have = {record.key: set(record.values) for record in zone.records}
        for record in additions:
            mine = set(record.values) - have.get(record.key, set())
            added.setdefault(record.key, set()).update(mine)
        zone = joined(zone, additions)
    zone = carried_out(zone, plan(zone, []))
    left = {record.key: set(record.values) for record in zone.records}
    assert left == {key: values for key, values in added.items() if values}


def test_a_value_with_blanks_is_of_its_kind_except_for_spf() -> None:
    assert slot_of(ZONE, "TXT", txt("v = DMARC1; p=none")).tag == "dmarc1"
    assert slot_of(ZONE, "TXT", txt("v = spf1 -all")).tag != "spf1"


def test_what_a_zone_does_not_show_is_outstanding() -> None:
    keep, gone = (
        rrset(f"a.{ZONE}", "A", 60, "203.0.113.1"),
        rrset(f"b.{ZONE}", "A", 60, "203.0.113.2"),
    )
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), [keep, gone]))
    made = plan(zone, [rrset(keep.name, "A", 90, "203.0.113.1"), rrset(ZONE, "TXT", 60, SPF)])
    assert set(outstanding(made, zone)) == set(made.changes)
    after = carried_out(zone, made)
    # A value that somebody else adds meanwhile takes nothing away from ours.
    shared = Zone(
        ZONE,
        tuple(
            r if r.type != "TXT" else rrset(ZONE, "TXT", 60, SPF, VERIFICATION)
            for r in after.records
        ),
    )
    assert outstanding(made, shared) == ()


def test_a_cname_in_the_way() -> None:
    name = f"smtp.{ZONE}"
    zone = Zone(ZONE, (rrset(name, "CNAME", 60, "elsewhere.example."),))
    wanted = [rrset(name, "A", 60, "203.0.113.1"), rrset(name, "AAAA", 60, "2001:db8::1")]
    made = plan(zone, wanted)
    assert made.changes == ()
    assert len(made.conflicts) == 1
    made = plan(zone, wanted, adopt=["smtp.*/CNAME"])
    assert [change.kind for change in made.changes] == ["delete", "create", "create"]


def test_a_delegation_hides_what_is_below() -> None:
    zone = Zone(ZONE, (rrset(f"eu.{ZONE}", "NS", 60, "ns.example."),))
    made = plan(zone, [rrset(f"mta1.eu.{ZONE}", "A", 60, "203.0.113.1")])
    assert made.changes == ()
    assert "delegates eu.shop.example" in str(made.conflicts[0])


def test_an_equal_foreign_record_is_left_to_its_owner() -> None:
    record = rrset(f"mta1.{ZONE}", "A", 60, "203.0.113.1")
    zone = Zone(ZONE, (record,))
    made = plan(zone, [rrset(f"mta1.{ZONE}", "A", 300, "203.0.113.1")])
    assert made.is_empty
    assert plan(carried_out(zone, made), []).is_empty


def test_drift_of_an_owned_record_is_repaired() -> None:
    zone = Zone(ZONE, ())
    wanted = [rrset(ZONE, "TXT", 300, SPF)]
    zone = carried_out(zone, plan(zone, wanted))
    assert plan(read_again(ZONE, [], zone.owned), wanted).changes[0].new == wanted[0]
    # In the place of ours may stand what somebody else needs.
    edited = read_again(ZONE, [rrset(ZONE, "TXT", 300, OLD_SPF)], zone.owned)
    made = plan(edited, wanted)
    assert made.changes == ()
    assert "stands where ours was" in str(made.conflicts[0])
    [change] = plan(edited, wanted, adopt=["shop.example/TXT"]).changes
    assert change.new == wanted[0]


def test_a_foreign_text_that_is_one_of_several_wanted_is_a_conflict() -> None:
    zone = Zone(ZONE, (rrset(ZONE, "TXT", 300, SPF),))
    made = plan(zone, [rrset(ZONE, "TXT", 300, SPF, OLD_SPF)])
    assert made.changes == ()
    assert len(made.conflicts) == 1


def test_what_has_taken_our_place_is_not_deleted_when_the_host_leaves() -> None:
    ours = rrset(f"mta1.{ZONE}", "A", 300, "203.0.113.1")
    theirs = rrset(f"mta1.{ZONE}", "A", 300, "198.51.100.9")
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), [ours]))
    made = plan(read_again(ZONE, [theirs], zone.owned), [])
    assert made.changes == ()
    assert made.owned_after == {}


def test_a_push_does_not_stand_in_its_own_way() -> None:
    name = f"smtp.{ZONE}"
    first = [rrset(name, "A", 300, "203.0.113.1")]
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), first))
    zone = joined(zone, [rrset(name, "A", 300, "203.0.113.8", "203.0.113.9")])
    moved = [rrset(name, "A", 300, "203.0.113.9")]
    zone = carried_out(zone, plan(zone, moved))
    assert plan(zone, moved).is_empty


def test_addresses_beside_ours_can_be_adopted() -> None:
    ours = [rrset(f"smtp.{ZONE}", "A", 300, "203.0.113.1")]
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), ours))
    zone = joined(zone, [rrset(f"smtp.{ZONE}", "A", 300, "203.0.113.8")])
    zone = carried_out(zone, plan(zone, ours, adopt=["smtp.*/A"]))
    assert zone.records == tuple(ours)


def test_many_fleets_in_one_zone_fit_their_lists() -> None:
    lists: tuple[RRset, ...] = ()
    for fleet in ("eu", "us", "jp", "br"):
        owned = {Slot(f"host{n}.{fleet}.{ZONE}", "A"): frozenset({str(n)}) for n in range(420)}
        content = {record.name: record for record in lists}
        content |= {record.name: record for record in write_list(ZONE, fleet, owned, lists, 300)}
        lists = tuple(content.values())
        assert read_list(ZONE, fleet, lists).keys() == owned.keys()
    # A message holds 64 KiB, and an update carries a set as it was and as it is to be.
    assert all(sum(map(len, record.values)) < 30_000 for record in lists)


def test_what_is_to_be_kept_is_not_deleted() -> None:
    name = f"mta1-1._domainkey.{ZONE}"
    zone = carried_out(Zone(ZONE, ()), plan(Zone(ZONE, ()), [rrset(name, "TXT", 60, SPF)]))
    assert plan(zone, [], keep=lambda at: at == name).is_empty
    assert [change.kind for change in plan(zone, []).changes] == ["delete"]


slots = st.builds(
    Slot,
    st.sampled_from(
        [
            ZONE,
            f"0/25.{ZONE}",
            f"*.{ZONE}",
            f"a\\032b.{ZONE}",
            *[f"h{n}.{ZONE}" for n in range(400)],
        ]
    ),
    st.sampled_from(["A", "AAAA", "MX", "TXT"]),
    st.just(""),
)


contents = st.dictionaries(
    slots, st.frozensets(st.integers(0, 10**6).map(str), min_size=1, max_size=3), max_size=300
)


@given(contents, contents)
def test_the_list_of_owned_records_survives(ours: Owned, others: Owned) -> None:
    theirs = write_list(ZONE, "staging", others, [], 300)
    both = write_list(ZONE, "prod", ours, theirs, 300)
    # Where one RRset holds both fleets' values, each knows its own.
    records = [
        RRset(
            slot.name,
            slot.type,
            300,
            tuple(ours.get(slot, frozenset()) | others.get(slot, frozenset())),
        )
        for slot in {*ours, *others}
        if slot.type != "TXT"
    ]
    plain = {slot: values for slot, values in ours.items() if slot.type != "TXT"}
    found = read_list(ZONE, "prod", [*records, *both])
    assert {slot: found[slot] for slot in plain} == plain
    assert found.keys() == ours.keys()
    assert read_list(ZONE, "staging", both).keys() == others.keys()
    gone = write_list(ZONE, "prod", {}, both, 300)
    assert read_list(ZONE, "prod", gone) == {}
    assert read_list(ZONE, "staging", gone).keys() == others.keys()


def test_an_rrset_of_many_values_fits_the_list() -> None:
    values = frozenset(f"203.0.113.{n}" for n in range(250))
    record = RRset(f"a.{ZONE}", "A", 300, tuple(sorted(values)))
    lists = write_list(ZONE, "prod", {Slot(*record.key): values}, [], 300)
    assert read_list(ZONE, "prod", [record, *lists]) == {Slot(*record.key): values}
