"""PTR records that only others can make, and those of addresses that have left the fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailfleet import publishing
from mailfleet.model import Fleet, HostEntry, build_fleet
from mailfleet.publishing import prepare, publish
from mailfleet.records.lookup import LookupFailedError
from tests.unit.test_publishing import DNS, EU, KEYS, Memory, fleet

pytestmark = pytest.mark.unit

ORDERS_EU, ORDERS_US = f"orders.{EU}.", "orders.mta1.us.shop.example."
REVERSE = "113.0.203.in-addr.arpa"
ASK_EU = f"1.113.0.203.in-addr.arpa. PTR {ORDERS_EU}"
ASK_US = f"2.113.0.203.in-addr.arpa. PTR {ORDERS_US}"


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    monkeypatch.setattr(publishing, "open_driver", lambda *_: memory)
    return memory


def world(name: str, rtype: str) -> tuple[str, ...]:
    """DNS in which the first address has its name, and the second one another."""
    pointers = {"1.113.0.203.in-addr.arpa": ORDERS_EU, "2.113.0.203.in-addr.arpa": "old.example."}
    return (pointers[name],) if rtype == "PTR" and name in pointers else ()


def asked(notes: tuple[str, ...]) -> list[str]:
    return [note.rpartition("comes from for: ")[2] for note in notes if " PTR " in note]


def test_without_reverse_dns_each_record_to_ask_for_is_told(server: Memory) -> None:
    nobody = replace(fleet(), reverse_dns=None)
    assert asked(prepare(nobody, KEYS).notes) == [ASK_EU, ASK_US]
    [note] = [note for note in prepare(nobody, KEYS).notes if ASK_EU in note]
    assert note.startswith("203.0.113.1: inventories/prod names no reverse_dns; ask the company")
    assert set(server.zones) == {"shop.example"}


def test_what_is_there_already_is_asked_of_nobody(server: Memory) -> None:
    nobody = replace(fleet(), reverse_dns=None)
    assert asked(prepare(nobody, KEYS, lookup=world).notes) == [ASK_US]


def test_an_unanswered_look_up_is_no_proof(server: Memory) -> None:
    def down(name: str, rtype: str) -> tuple[str, ...]:
        raise LookupFailedError(f"{name} {rtype} cannot be looked up")

    nobody = replace(fleet(), reverse_dns=None)
    assert asked(prepare(nobody, KEYS, lookup=down).notes) == [ASK_EU, ASK_US]


def test_one_name_more_than_ours_is_not_what_is_needed(server: Memory) -> None:
    def two(name: str, rtype: str) -> tuple[str, ...]:
        return ("another.example.", *world(name, rtype)) if rtype == "PTR" else ()

    nobody = replace(fleet(), reverse_dns=None)
    assert asked(prepare(nobody, KEYS, lookup=two).notes) == [ASK_EU, ASK_US]


def test_only_the_addresses_of_the_domain_that_is_asked_for(server: Memory) -> None:
    nobody = replace(fleet(dns=DNS), reverse_dns=None)
    assert asked(prepare(nobody, KEYS, domain="other.example").notes) == []


def test_an_address_without_reverse_zone_whose_record_is_there(server: Memory) -> None:
    def there(name: str, rtype: str) -> tuple[str, ...]:
        return (ORDERS_US,) if (name, rtype) == ("2.100.51.198.in-addr.arpa", "PTR") else ()

    elsewhere = fleet(us="198.51.100.2")
    assert len(asked(prepare(elsewhere, KEYS).notes)) == 1
    assert asked(prepare(elsewhere, KEYS, lookup=there).notes) == []


def test_a_pointer_of_an_address_that_left_goes_while_its_zone_has_another(server: Memory) -> None:
    publish(prepare(fleet(), KEYS))
    assert len(server.zones[REVERSE]) == 2
    publish(prepare(fleet(us="198.51.100.2"), KEYS, force=True))
    assert set(server.zones[REVERSE]) == {("1.113.0.203.in-addr.arpa", "PTR")}


OLD = "mta1.old.example"


def moving(to: str) -> Fleet:
    """A fleet of one host and one stream in the domain `to`; the other domain is parked."""
    hosts = [HostEntry("eu", f"mta1.{to}", {"streams": {"orders": ["203.0.113.1"]}})]
    sending: dict[str, Any] = {"dns": DNS, "streams": {"orders": {"logins": ["app"]}}}
    parked: dict[str, Any] = {"dns": DNS, "sends": False}
    tables = {n: sending if n == to else parked for n in ("old.example", "new.example")}
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files), "reverse_dns": DNS}
    return build_fleet("inventories/prod", hosts, declared, files, [])


def test_a_domain_file_that_sends_no_more_lets_its_records_go(server: Memory) -> None:
    publish(prepare(moving("old.example"), {}))
    assert (f"orders.{OLD}", "A") in server.zones["old.example"]
    publish(prepare(moving("new.example"), {}, force=True))
    names = {name for name, _ in server.zones["old.example"]}
    # What says that the domain sends and takes no mail.
    assert names == {"old.example", "_dmarc.old.example"}
