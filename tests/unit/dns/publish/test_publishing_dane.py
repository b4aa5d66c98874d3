"""TLSA records: made where zone and certificate are known, and never changed on a guess."""

from __future__ import annotations

import pytest

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal
from mailfleet.dns.publish.plan import Publication
from mailfleet.dns.publish.prepare import prepare, publish
from mailfleet.model import Fleet
from tests.unit.dns.publish.test_publishing import EU, KEYS, US, Memory, fleet

pytestmark = pytest.mark.unit

FIRST, SECOND, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
CERTIFICATES = {EU: (FIRST,), US: (SECOND,)}
TLSA_EU, TLSA_US = (f"_25._tcp.{EU}", "TLSA"), (f"_25._tcp.{US}", "TLSA")
ZONE = "shop.example"


def signed(name: str, rtype: str) -> tuple[str, ...]:
    """DNS in which the zone has a DS in the zone above."""
    return ("1 13 2 " + "00" * 32,) if (name, rtype) == (ZONE, "DS") else ()


def unsigned(_name: str, _rtype: str) -> tuple[str, ...]:
    return ()


def down(name: str, rtype: str) -> tuple[str, ...]:
    raise LookupFailedError(f"{name} {rtype} cannot be looked up")


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A server that holds what a first push with both certificates has published."""
    memory = Memory()
    monkeypatch.setattr(
        "mailfleet.dns.publish.providers.open_provider", lambda *_: Provider(memory)
    )
    publish(prepare(fleet(), KEYS, lookup=signed, certificates=CERTIFICATES))
    return memory


def held(server: Memory) -> dict[str, tuple[str, ...]]:
    zone = server.zones[ZONE]
    return {name: record.values for (name, rtype), record in zone.items() if rtype == "TLSA"}


BOTH = {TLSA_EU[0]: (f"3 1 1 {FIRST}",), TLSA_US[0]: (f"3 1 1 {SECOND}",)}


def test_one_for_each_host_with_a_certificate(server: Memory) -> None:
    assert held(server) == BOTH
    again = prepare(fleet(), KEYS, lookup=signed, certificates=CERTIFICATES)
    assert again.is_empty
    assert not [note for note in again.notes if "TLSA" in note]


def test_another_key_means_another_record(server: Memory) -> None:
    changed = {**CERTIFICATES, US: (THIRD,)}
    publish(prepare(fleet(), KEYS, lookup=signed, certificates=changed))
    assert held(server) == {**BOTH, TLSA_US[0]: (f"3 1 1 {THIRD}",)}


def notes(publication: Publication) -> list[str]:
    return [note for note in publication.notes if "TLSA" in note]


def test_a_zone_of_unknown_state_keeps_what_it_has(server: Memory) -> None:
    changed = {EU: (THIRD,), US: (SECOND,)}
    publication = prepare(fleet(), KEYS, lookup=down, certificates=changed)
    assert publication.is_empty
    assert notes(publication) == [
        "shop.example: whether it is signed is not known, so its TLSA records stay as they are: "
        "shop.example DS cannot be looked up"
    ]
    assert prepare(fleet(), KEYS, certificates=changed).is_empty


def test_a_zone_of_unknown_state_gets_none(server: Memory) -> None:
    server.zones.clear()
    server.owned.clear()
    publish(prepare(fleet(), KEYS, lookup=down, certificates=CERTIFICATES))
    assert held(server) == {}


def test_a_host_that_was_not_read_keeps_its_record(server: Memory) -> None:
    keys = {EU: KEYS[EU]}
    publication = prepare(fleet(), keys, lookup=signed, certificates={EU: (FIRST,)})
    assert publication.is_empty
    assert notes(publication) == [f"{US}: was not read; its DKIM and TLSA records stay as they are"]


def test_a_host_without_certificate_keeps_its_record(server: Memory) -> None:
    publication = prepare(fleet(), KEYS, lookup=signed, certificates={EU: (FIRST,)})
    assert publication.is_empty
    assert notes(publication) == [
        f"{US}: no certificate that can be read; its TLSA record stays as it is"
    ]


def test_in_a_zone_that_is_signed_no_more_they_go(server: Memory) -> None:
    publish(prepare(fleet(), KEYS, lookup=unsigned, certificates=CERTIFICATES))
    assert held(server) == {}


def without_us() -> Fleet:
    whole = fleet()
    return Fleet(whole.name, whole.source, whole.regions[:1], whole.domains, whole.lab)


def test_that_of_a_host_that_left_goes(server: Memory) -> None:
    keys = {EU: KEYS[EU]}
    left = prepare(without_us(), keys, lookup=signed, certificates={EU: (FIRST,)}, force=True)
    publish(left)
    assert held(server) == {TLSA_EU[0]: (f"3 1 1 {FIRST}",)}


def test_a_provider_that_takes_no_tlsa_records_goes_without(
    server: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.zones.clear()
    server.owned.clear()

    def refuses(plan: Plan, _: object) -> tuple[Refusal, ...]:
        keys = [c.key for c in plan.changes if c.key[1] == "TLSA"]
        return tuple(Refusal(f"{key[0]} TLSA: no such type", key) for key in keys)

    monkeypatch.setattr(server, "audit", refuses)
    publication = prepare(fleet(), KEYS, lookup=signed, certificates=CERTIFICATES)
    assert publication.problems == ()
    assert [note for note in publication.notes if "no DANE" in note] == [
        f"shop.example: left out, so senders have no DANE: {name} TLSA: no such type"
        for name in BOTH
    ]
    publish(publication)
    assert held(server) == {}
    assert prepare(fleet(), KEYS, lookup=signed, certificates=CERTIFICATES).is_empty


def test_an_old_tlsa_record_that_cannot_be_changed_is_a_problem(
    server: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(plan: Plan, _: object) -> tuple[Refusal, ...]:
        keys = [c.key for c in plan.changes if c.key[1] == "TLSA"]
        return tuple(Refusal(f"{key[0]} TLSA is protected", key) for key in keys)

    monkeypatch.setattr(server, "audit", refuses)
    changed = {**CERTIFICATES, EU: ("cd" * 32,)}
    publication = prepare(fleet(), KEYS, lookup=signed, certificates=changed)
    assert publication.problems == (
        f"shop.example: left as it is: {TLSA_EU[0]} TLSA: {TLSA_EU[0]} TLSA is protected",
    )


def test_what_else_a_provider_refuses_still_stops_the_zone(
    server: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.zones.clear()
    server.owned.clear()
    monkeypatch.setattr(server, "audit", lambda *_: (Refusal("the token may only read"),))
    publication = prepare(fleet(), KEYS, lookup=signed, certificates=CERTIFICATES)
    assert "shop.example: the token may only read" in publication.problems
    assert not [note for note in publication.notes if "no DANE" in note]
