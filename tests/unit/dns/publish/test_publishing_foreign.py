"""Nothing stops what does not need it: foreign records, refusals before and while writing."""

from __future__ import annotations

import pytest

from mailfleet.dns.publish.prepare import PublishError, prepare, publish
from mailfleet.dns.rrset import rrset
from tests.unit.dns.publish.test_publishing import (
    DNS,
    EU,
    FOREIGN,
    KEYS,
    REVERSE,
    Memory,
    _server,
    fleet,
)

__all__ = ["_server"]

pytestmark = pytest.mark.unit


def test_a_conflict_stops_nothing_that_does_not_need_it(server: Memory) -> None:
    server.zones["shop.example"] = {FOREIGN.key: FOREIGN}
    wanted = {c.key for z in prepare(fleet(dns=DNS), KEYS).zones for c in z.plan.changes}
    done: list[str] = []
    with pytest.raises(PublishError, match=r"--adopt '_dmarc\.shop\.example/TXT'") as caught:
        publish(prepare(fleet(dns=DNS), KEYS), done.append)
    assert {zone.zone: zone.state for zone in caught.value.outcome} == {
        "shop.example": "partial",
        "other.example": "done",
        REVERSE: "done",
    }
    there = {key for zone in server.zones.values() for key in zone}
    assert wanted < there
    assert server.zones["shop.example"][FOREIGN.key] == FOREIGN
    again = prepare(fleet(dns=DNS), KEYS)
    assert again.is_empty
    assert len(again.problems) == 1
    publish(prepare(fleet(dns=DNS), KEYS, adopt=["_dmarc.shop.example/TXT"]))
    assert prepare(fleet(dns=DNS), KEYS).problems == ()


def test_a_name_that_leads_elsewhere_gets_neither_mail_nor_pointer(server: Memory) -> None:
    stranger = rrset(f"orders.{EU}", "A", 60, "192.0.2.99")
    server.zones["shop.example"] = {stranger.key: stranger}
    with pytest.raises(PublishError, match=r"waits for orders\.mta1\.eu\.shop\.example A"):
        publish(prepare(fleet(dns=DNS), KEYS))
    there = server.zones["shop.example"]
    # "v=spf1 a" would let the stranger pass, and nobody else.
    assert (f"orders.{EU}", "TXT") not in there
    assert ("orders.mta1.us.shop.example", "TXT") in there
    assert set(server.zones[REVERSE]) == {("2.113.0.203.in-addr.arpa", "PTR")}
    host = rrset(EU, "A", 60, "192.0.2.99")
    server.zones["shop.example"] = {host.key: host}
    server.owned = {}
    with pytest.raises(PublishError):
        publish(prepare(fleet(dns=DNS), KEYS))
    assert ("shop.example", "MX") not in server.zones["shop.example"]
    assert ("_dmarc.shop.example", "TXT") in server.zones["shop.example"]


def test_what_a_provider_refuses_stops_nothing_else(server: Memory) -> None:
    server.refuses = {"_dmarc.shop.example"}
    with pytest.raises(PublishError, match=r"refuses _dmarc\.shop\.example"):
        publish(prepare(fleet(), KEYS))
    assert ("shop.example", "TXT") in server.zones["shop.example"]
    assert ("_dmarc.shop.example", "TXT") not in server.zones["shop.example"]
    assert len(server.zones[REVERSE]) == 2


def test_what_a_provider_does_not_take_after_all_stops_nothing_else(server: Memory) -> None:
    server.takes_not = {"_dmarc.shop.example", f"orders.{EU}"}
    wanted = {c.key for z in prepare(fleet(dns=DNS), KEYS).zones for c in z.plan.changes}
    with pytest.raises(PublishError) as caught:
        publish(prepare(fleet(dns=DNS), KEYS))
    assert "_dmarc.shop.example TXT: policy forbids _dmarc.shop.example" in str(caught.value)
    states = {zone.zone: zone.state for zone in caught.value.outcome}
    assert (states["shop.example"], states[REVERSE]) == ("partial", "partial")
    there = {key for zone in server.zones.values() for key in zone}
    assert wanted - there == {
        ("_dmarc.shop.example", "TXT"),
        (f"orders.{EU}", "A"),
        (f"orders.{EU}", "MX"),
        (f"orders.{EU}", "TXT"),
        # Its name leads nowhere.
        ("1.113.0.203.in-addr.arpa", "PTR"),
    }
    # What was made is ours, what was not is not.
    owned = {(s.name, s.type) for slots in server.owned.values() for s in slots}
    assert owned == wanted & there
    server.takes_not = set()
    publish(prepare(fleet(dns=DNS), KEYS))
    assert prepare(fleet(dns=DNS), KEYS).is_empty


def test_a_provider_that_takes_nothing_is_not_asked_for_each_change(server: Memory) -> None:
    server.takes_not = {"*"}
    with pytest.raises(PublishError, match="policy forbids") as caught:
        publish(prepare(fleet(), KEYS))
    assert caught.value.outcome[0].state == "failed"
    assert server.applied < 10
    assert server.zones["shop.example"] == {}
