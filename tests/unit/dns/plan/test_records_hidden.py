"""Names that something foreign answers for: what leads right is right, what does not waits alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.plan.needs import needs_of, waiting
from mailfleet.dns.plan.ownership import Slot
from mailfleet.dns.plan.zone import Plan, Zone, held, plan
from mailfleet.dns.rrset import RRset, rrset, txt

pytestmark = pytest.mark.unit

ZONE = "shop.example"
KEY = rrset(f"mta1-eu._domainkey.{ZONE}", "TXT", 300, txt("v=DKIM1; k=rsa; p=QQ=="))
POLICY = rrset(f"_dmarc.{ZONE}", "TXT", 300, txt("v=DMARC1; p=reject"))
HOST = rrset(f"mta1.eu.{ZONE}", "A", 300, "203.0.113.1")
WANTED = [KEY, POLICY, HOST]
ALIAS = rrset(KEY.name, "CNAME", 60, "key.host.example.")
Answer = Callable[[str, str], tuple[str, ...]]


def answering(*records: RRset) -> Answer:
    known = {record.key: record.values for record in records}
    return lambda name, rtype: known.get((name, rtype), ())


def silent(name: str, rtype: str) -> tuple[str, ...]:
    raise LookupFailedError(f"{name} {rtype} cannot be looked up")


def created(made: Plan) -> set[tuple[str, str]]:
    return {change.key for change in made.changes}


@pytest.mark.parametrize(
    "foreign",
    [
        (ALIAS,),
        (rrset(f"_domainkey.{ZONE}", "DNAME", 60, "keys.host.example."),),
        (rrset(f"_domainkey.{ZONE}", "NS", 60, "ns.host.example."),),
        (rrset(KEY.name, "NS", 60, "ns.host.example."),),
    ],
)
def test_what_leads_right_is_right_and_what_does_not_waits_alone(
    foreign: tuple[RRset, ...],
) -> None:
    zone = Zone(ZONE, foreign)
    right = plan(zone, WANTED, lookup=answering(KEY))
    assert right.conflicts == ()
    assert created(right) == {POLICY.key, HOST.key}
    assert {slot.name for slot in right.owned_after} == {POLICY.name, HOST.name}
    for lookup, said in (
        (answering(), "lacks"),
        (answering(RRset(*KEY.key, 60, (txt("v=DKIM1; p=Qg=="),))), "instead of"),
        (silent, "is not known: mta1-eu._domainkey.shop.example TXT cannot be looked up"),
        (None, "is not known"),
    ):
        made = plan(zone, WANTED, lookup=lookup)
        assert created(made) == {POLICY.key, HOST.key}
        [conflict] = made.conflicts
        assert said in str(conflict)
        assert {slot.name for slot in conflict.wanted} == {KEY.name}


def test_an_alias_within_the_zone_is_followed_there() -> None:
    target = rrset(f"key.{ZONE}", "TXT", 60, *KEY.values)
    first = rrset(KEY.name, "CNAME", 60, f"other.{ZONE}.")
    second = rrset(f"other.{ZONE}", "CNAME", 60, f"key.{ZONE}.")
    made = plan(Zone(ZONE, (first, second, target)), WANTED)
    assert made.conflicts == ()
    assert created(made) == {POLICY.key, HOST.key}


def test_aliases_that_lead_to_each_other_end() -> None:
    one = rrset(KEY.name, "CNAME", 60, f"other.{ZONE}.")
    other = rrset(f"other.{ZONE}", "CNAME", 60, f"{KEY.name}.")
    made = plan(Zone(ZONE, (one, other)), WANTED, lookup=silent)
    assert created(made) == {POLICY.key, HOST.key}
    assert len(made.conflicts) == 1


def test_the_advice_breaks_no_delegation_of_a_reverse_zone() -> None:
    reverse, child = "113.0.203.in-addr.arpa", "1.0-63.113.0.203.in-addr.arpa"
    alias = rrset(f"1.{reverse}", "CNAME", 60, f"{child}.")
    reverse_names = [rrset(f"{n}.{reverse}", "PTR", 300, f"mta{n}.{ZONE}.") for n in (1, 2)]
    made = plan(Zone(reverse, (alias,)), reverse_names, lookup=answering())
    assert created(made) == {reverse_names[1].key}
    [conflict] = made.conflicts
    assert "--adopt" not in str(conflict)
    assert f"have {child}. PTR mta1.{ZONE}. entered there" in conflict.remedy
    right = answering(rrset(f"1.{reverse}", "PTR", 60, f"mta1.{ZONE}."))
    assert plan(Zone(reverse, (alias,)), reverse_names, lookup=right).conflicts == ()


def test_an_alias_is_replaced_on_request_also_where_it_leads_right() -> None:
    made = plan(Zone(ZONE, (ALIAS,)), WANTED, adopt=["*._domainkey.*/CNAME"], lookup=answering(KEY))
    assert [change.kind for change in made.changes if change.key[0] == KEY.name] == [
        "delete",
        "create",
    ]
    # What makes room stays where ours cannot come.
    less = held(made, {KEY.key: "refused"})
    assert KEY.name not in {name for name, _ in created(less)}
    assert set(less.held) == {KEY.key, ALIAS.key}


def test_a_record_of_ours_that_somebody_made_an_alias_of_is_let_go() -> None:
    owned = {Slot(KEY.name, "TXT", "dkim1"): frozenset[str]()}
    made = plan(Zone(ZONE, (ALIAS,), owned), [KEY], lookup=answering(KEY))
    assert made.changes == ()
    assert made.owned_after == {}


def test_what_is_held_back_stays_owned_as_it_is() -> None:
    old = rrset(HOST.name, "A", 300, "203.0.113.9")
    owned = {Slot(*HOST.key): frozenset(old.values)}
    made = held(plan(Zone(ZONE, (old,), owned), [HOST]), {HOST.key: "refused"})
    assert made.is_empty
    assert made.owned_after == owned


def test_only_what_relies_on_a_record_waits_for_it() -> None:
    mail = rrset(ZONE, "MX", 300, f"10 {HOST.name}.")
    reverse_name = rrset("1.113.0.203.in-addr.arpa", "PTR", 300, f"{HOST.name}.")
    pointer6 = rrset("1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", 300, f"{HOST.name}.")
    helo = rrset(HOST.name, "TXT", 300, txt("v=spf1 a -all"))
    sender = rrset(ZONE, "TXT", 300, txt(f"v=spf1 include:_spf.{ZONE} -all"))
    part = rrset(f"_spf.{ZONE}", "TXT", 300, txt("v=spf1 ip4:203.0.113.1 -all"))
    sts = rrset(f"_mta-sts.{ZONE}", "TXT", 300, txt("v=STSv1; id=1"))
    six = rrset(HOST.name, "AAAA", 300, "2001:db8::1")
    needs = needs_of([*WANTED, mail, reverse_name, pointer6, helo, sender, part, sts, six])
    assert set(waiting(needs, [HOST.key])) == {mail.key, reverse_name.key, helo.key, sts.key}
    assert set(waiting(needs, [part.key])) == {sender.key}
    assert set(waiting(needs, [sender.key])) == {part.key}
    assert set(waiting(needs, [KEY.key, POLICY.key, helo.key])) == set()
