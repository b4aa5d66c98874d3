"""PTR records that only others can make, and those of addresses that have left the fleet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.providers.base import Provider, PtrChange
from mailfleet.dns.publish.prepare import PublishError, prepare, publish
from mailfleet.dns.rrset import rrset
from mailfleet.model import Address, CloudflareSettings, Fleet, HostEntry, build_fleet
from tests.unit.dns.publish.test_publishing import DNS, EU, KEYS, Memory, fleet

pytestmark = pytest.mark.unit

ORDERS_EU, ORDERS_US = f"orders.{EU}.", "orders.mta1.us.shop.example."
REVERSE = "113.0.203.in-addr.arpa"
ASK_EU = f"1.113.0.203.in-addr.arpa. PTR {ORDERS_EU}"
ASK_US = f"2.113.0.203.in-addr.arpa. PTR {ORDERS_US}"


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    monkeypatch.setattr(
        "mailfleet.dns.publish.providers.open_provider", lambda *_: Provider(memory)
    )
    return memory


def world(name: str, rtype: str) -> tuple[str, ...]:
    """DNS in which the first address has its name, and the second one another."""
    reverse_names = {
        "1.113.0.203.in-addr.arpa": ORDERS_EU,
        "2.113.0.203.in-addr.arpa": "old.example.",
    }
    return (reverse_names[name],) if rtype == "PTR" and name in reverse_names else ()


def asked(notes: tuple[str, ...]) -> list[str]:
    lines = [line for note in notes for line in note.splitlines()]
    return [line.partition(": ")[2] for line in lines if line.startswith("  ") and " PTR " in line]


def nobody(**options: Any) -> Fleet:
    """A fleet in a lab, whose addresses are real, without anybody for its reverse zones."""
    whole = fleet(**options)
    regions = tuple(
        replace(r, hosts=tuple(replace(h, reverse_dns=None) for h in r.hosts))
        for r in whole.regions
    )
    return replace(whole, regions=regions, lab="lab")


def test_without_reverse_dns_each_record_to_ask_for_is_told(server: Memory) -> None:
    assert asked(prepare(nobody(), KEYS).notes) == [ASK_EU, ASK_US]
    [note] = [note for note in prepare(nobody(), KEYS).notes if ASK_EU in note]
    assert note.startswith("inventories/prod names no reverse_dns; ask the company")
    assert set(server.zones) == {"shop.example"}


def test_what_is_there_already_is_asked_of_nobody(server: Memory) -> None:
    assert asked(prepare(nobody(), KEYS, lookup=world).notes) == [ASK_US]


def test_an_unanswered_look_up_is_no_proof(server: Memory) -> None:
    def down(name: str, rtype: str) -> tuple[str, ...]:
        raise LookupFailedError(f"{name} {rtype} cannot be looked up")

    notes = prepare(nobody(), KEYS, lookup=down).notes
    assert asked(notes) == []
    [note] = [note for note in notes if "reverse_dns" in note]
    assert "PTR records of 203.0.113.1, 203.0.113.2 are there is not known" in note


def test_addresses_of_documentation_are_not_asked_about(server: Memory) -> None:
    def never(name: str, rtype: str) -> tuple[str, ...]:
        assert not name.endswith(".arpa")
        return ()

    example = replace(nobody(), lab=None)
    assert asked(prepare(example, KEYS, lookup=never).notes) == [ASK_EU, ASK_US]


def test_one_name_more_than_ours_is_not_what_is_needed(server: Memory) -> None:
    def two(name: str, rtype: str) -> tuple[str, ...]:
        return ("another.example.", *world(name, rtype)) if rtype == "PTR" else ()

    assert asked(prepare(nobody(), KEYS, lookup=two).notes) == [ASK_EU, ASK_US]


def test_only_the_addresses_of_the_domain_that_is_asked_for(server: Memory) -> None:
    assert asked(prepare(nobody(dns=DNS), KEYS, domain="other.example").notes) == []


def test_an_address_without_reverse_zone_whose_record_is_there(server: Memory) -> None:
    def there(name: str, rtype: str) -> tuple[str, ...]:
        return (ORDERS_US,) if (name, rtype) == ("2.100.51.198.in-addr.arpa", "PTR") else ()

    elsewhere = replace(fleet(us="198.51.100.2"), lab="lab")
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


CHILD = "0-63.113.0.203.in-addr.arpa"
"""What RFC 2317 calls the zone of a part of an IPv4 network."""


def delegated(name: str, rtype: str) -> tuple[str, ...]:
    """DNS in which the first address is an alias, without a record yet where it leads."""
    aliases = {"1.113.0.203.in-addr.arpa": f"1.{CHILD}."}
    return (aliases[name],) if rtype == "CNAME" and name in aliases else ()


def test_the_record_of_an_alias_is_made_where_it_leads(server: Memory) -> None:
    server.reverse = {CHILD}
    one = replace(fleet(), lab="lab")
    publish(prepare(one, KEYS, lookup=delegated))
    assert set(server.zones[CHILD]) == {(f"1.{CHILD}", "PTR")}
    assert set(server.zones[REVERSE]) == {("2.113.0.203.in-addr.arpa", "PTR")}
    assert prepare(one, KEYS, lookup=delegated).is_empty


def test_an_alias_that_leads_elsewhere_is_asked_for_there_and_stops_nothing(server: Memory) -> None:
    far = "1.customers.host.example"

    def away(name: str, rtype: str) -> tuple[str, ...]:
        known = {("1.113.0.203.in-addr.arpa", "CNAME"): (f"{far}.",), (far, "PTR"): answers}
        return known.get((name, rtype), ())

    one = replace(fleet(), lab="lab")
    answers: tuple[str, ...] = ()
    made = prepare(one, KEYS, lookup=away)
    assert asked(made.notes) == [f"{far}. PTR {ORDERS_EU}"]
    publish(made)
    assert set(server.zones[REVERSE]) == {("2.113.0.203.in-addr.arpa", "PTR")}
    answers = (ORDERS_EU,)
    assert asked(prepare(one, KEYS, lookup=away).notes) == []


def test_no_pointer_goes_while_an_alias_cannot_be_followed(server: Memory) -> None:
    server.reverse = {CHILD}
    one = replace(fleet(), lab="lab")
    publish(prepare(one, KEYS, lookup=delegated))

    def silent(name: str, rtype: str) -> tuple[str, ...]:
        if name == "1.113.0.203.in-addr.arpa":
            raise LookupFailedError(f"{name} {rtype} cannot be looked up")
        return ()

    alias = rrset("1.113.0.203.in-addr.arpa", "CNAME", 60, f"1.{CHILD}.")
    server.zones[REVERSE][alias.key] = alias
    made = prepare(one, KEYS, lookup=silent)
    assert made.is_empty
    [problem] = made.problems
    assert "is not known" in problem
    assert (f"1.{CHILD}", "PTR") in server.zones[CHILD]


def served(**options: Any) -> list[str | None]:
    """Who serves the PTR records of the hosts in eu, eu and us."""
    tables = {"shop.example": {"dns": DNS, "streams": {"orders": {"logins": ["app"]}}}}
    own = {"reverse_dns": {"provider": "cloudflare"}} if options.pop("own", False) else {}
    hosts = [
        HostEntry("eu", "mta1.eu.shop.example", {"streams": {"orders": ["203.0.113.1"]}}),
        HostEntry("eu", "mta2.eu.shop.example", {"streams": {"orders": ["203.0.113.2"]}, **own}),
        HostEntry("us", "mta1.us.shop.example", {"streams": {"orders": ["203.0.113.3"]}}),
    ]
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files), **options}
    fleet = build_fleet("inventories/prod", hosts, declared, files, [])
    return [h.reverse_dns.provider if h.reverse_dns else None for h in fleet.hosts]


def test_reverse_dns_by_region_and_by_host() -> None:
    hetzner = {"provider": "hetzner"}
    assert served() == [None, None, None]
    assert served(reverse_dns=hetzner) == ["hetzner"] * 3
    assert served(reverse_dns=hetzner, own=True) == ["hetzner", "cloudflare", "hetzner"]
    assert served(reverse_dns={"eu": hetzner, "us": DNS}) == ["hetzner", "hetzner", "rfc2136"]
    assert served(reverse_dns={"us": DNS}, own=True) == [None, "cloudflare", "rfc2136"]
    assert served(reverse_dns={"eu": hetzner, "us": None}) == ["hetzner", "hetzner", None]
    # By hand: whoever keeps the zone is to be asked for the record.
    assert served(reverse_dns={"provider": "manual"}) == [None] * 3


def test_each_provider_gets_the_pointers_of_its_own_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, list[str]] = {}

    class One(Memory):
        def __init__(self, provider: str) -> None:
            super().__init__()
            self.provider = provider

        def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
            asked[self.provider] = [str(address) for address in reverse_names]
            return dict.fromkeys(reverse_names, f"{self.provider}.in-addr.arpa")

    monkeypatch.setattr(
        "mailfleet.dns.publish.providers.open_provider",
        lambda settings, _: Provider(One(settings.provider)),
    )
    whole = fleet(dns=DNS)
    first, second = whole.regions
    other = replace(second.hosts[0], reverse_dns=CloudflareSettings())
    mixed = replace(whole, regions=(first, replace(second, hosts=(other,))))
    zones = [entry.plan.zone for entry in prepare(mixed, KEYS).zones]
    assert asked == {"rfc2136": ["203.0.113.1"], "cloudflare": ["203.0.113.2"]}
    assert {"rfc2136.in-addr.arpa", "cloudflare.in-addr.arpa"} <= set(zones)


class Addresses:
    """A provider in memory that has no reverse zones: each address carries its name."""

    label = "addresses"

    def __init__(self) -> None:
        self.names: dict[Address, str] = {}
        self.readable_only = False

    def read(self, addresses: Collection[Address]) -> dict[Address, str]:
        return {address: self.names[address] for address in addresses if address in self.names}

    def audit(self) -> tuple[str, ...]:
        return ("the token may only read",) if self.readable_only else ()

    def apply(self, changes: Sequence[PtrChange]) -> None:
        for change in changes:
            assert self.names[change.address] == change.old
            self.names[change.address] = change.new


FIRST, SECOND = ip_address("203.0.113.1"), ip_address("203.0.113.2")


@pytest.fixture(name="addresses")
def _addresses(server: Memory, monkeypatch: pytest.MonkeyPatch) -> Addresses:
    addresses = Addresses()
    monkeypatch.setattr(
        "mailfleet.dns.publish.providers.open_provider", lambda *_: Provider(server, addresses)
    )
    return addresses


def test_names_of_addresses_are_set_where_there_are_no_zones(addresses: Addresses) -> None:
    addresses.names = {FIRST: "", SECOND: ""}
    publication = prepare(fleet(), KEYS)
    [entry] = [entry for entry in publication.zones if entry.plan.zone == "PTR records"]
    assert entry.title == "PTR records at addresses: 2 to create"
    publish(publication)
    assert addresses.names == {FIRST: ORDERS_EU[:-1], SECOND: ORDERS_US[:-1]}
    assert prepare(fleet(), KEYS).is_empty


def test_an_address_of_another_company_is_asked_for_there(addresses: Addresses) -> None:
    addresses.names = {FIRST: ""}
    publication = prepare(fleet(), KEYS)
    assert asked(publication.notes) == [ASK_US]
    publish(publication)
    assert addresses.names == {FIRST: ORDERS_EU[:-1]}


def test_an_alias_leads_away_from_an_address_s_own_name(addresses: Addresses) -> None:
    addresses.names = {FIRST: "", SECOND: ""}
    publication = prepare(replace(fleet(), lab="lab"), KEYS, lookup=delegated)
    assert asked(publication.notes) == [f"1.{CHILD}. PTR {ORDERS_EU}"]
    publish(publication)
    assert addresses.names == {FIRST: "", SECOND: ORDERS_US[:-1]}


def test_a_name_that_somebody_else_gave_stays_until_it_is_adopted(addresses: Addresses) -> None:
    addresses.names = {FIRST: "www.elsewhere.example", SECOND: "old.shop.example"}
    with pytest.raises(PublishError, match=r"--adopt '1\.113\.0\.203\.in-addr\.arpa/PTR'"):
        publish(prepare(fleet(), KEYS, force=True))
    # A name below the fleet's own domain counts as its own.
    assert addresses.names == {FIRST: "www.elsewhere.example", SECOND: ORDERS_US[:-1]}
    publish(prepare(fleet(), KEYS, force=True, adopt=["*.in-addr.arpa/PTR"]))
    assert addresses.names == {FIRST: ORDERS_EU[:-1], SECOND: ORDERS_US[:-1]}


def test_what_keeps_names_from_being_written_is_told_before(addresses: Addresses) -> None:
    addresses.names, addresses.readable_only = {FIRST: "", SECOND: ""}, True
    assert "PTR records: the token may only read" in prepare(fleet(), KEYS).problems
