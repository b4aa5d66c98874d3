"""The lab's zones: complete, parsed by a real parser, and chained by DS records to the root."""

from __future__ import annotations

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest

from mailfleet.lab import addresses, nameserver, zones
from mailfleet.lab.zones import ROOT, ZoneKey

pytestmark = pytest.mark.unit

SPKI = "ab" * 32


@pytest.fixture(scope="module")
def keys() -> dict[str, ZoneKey]:
    served = zones.all_zones(("shop.test", "news.shop.test"))
    return {zone: zones.new_zone_key() for zone in served}


@pytest.fixture(scope="module")
def parsed(keys: dict[str, ZoneKey]) -> dict[str, dns.zone.Zone]:
    texts = zones.zone_texts(keys, SPKI)
    return {
        name: dns.zone.from_text(text, origin=dns.name.from_text(name), relativize=False)
        for name, text in texts.items()
    }


def test_reverse_zones_end_at_the_networks() -> None:
    assert addresses.reverse_zone(addresses.EU.v4) == "100.51.198.in-addr.arpa"
    assert addresses.reverse_zone(addresses.US.v6) == "0.0.0.0.0.5.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    assert len(addresses.REVERSE_ZONES) == 6


def test_every_zone_hangs_on_its_parent_by_a_ds_record(
    keys: dict[str, ZoneKey], parsed: dict[str, dns.zone.Zone]
) -> None:
    for name, key in keys.items():
        if name == ROOT:
            continue
        parent = parsed[zones.parent_of(name, keys)]
        owner = dns.name.from_text(name)
        (ds,) = parent.find_rdataset(owner, dns.rdatatype.DS)
        assert ds == dns.dnssec.make_ds(owner, key.public, "SHA256")
        assert parent.get_rdataset(owner, dns.rdatatype.NS) is not None


def test_a_zone_below_another_is_delegated_by_that_one(keys: dict[str, ZoneKey]) -> None:
    assert zones.parent_of("news.shop.test", keys) == "shop.test"
    assert zones.parent_of("shop.test", keys) == ROOT
    assert zones.parent_of("25.2.0.192.in-addr.arpa", keys) == "2.0.192.in-addr.arpa"


def test_a_forward_zone_starts_empty(parsed: dict[str, dns.zone.Zone]) -> None:
    (node,) = parsed["news.shop.test"].nodes.values()
    assert {rdataset.rdtype for rdataset in node} == {dns.rdatatype.SOA, dns.rdatatype.NS}


def test_inbox_domains_lead_to_hosts_of_the_family_in_their_name(
    parsed: dict[str, dns.zone.Zone],
) -> None:
    zone = parsed[addresses.INBOX_ZONE]
    families = {}
    for domain in addresses.INBOX_DOMAINS:
        (mx,) = zone.find_rdataset(dns.name.from_text(domain), dns.rdatatype.MX)
        node = zone.find_node(mx.exchange)
        families[domain] = {
            family
            for family, rdtype in (("v4", dns.rdatatype.A), ("v6", dns.rdatatype.AAAA))
            if node.get_rdataset(dns.rdataclass.IN, rdtype) is not None
        }
    assert families == {
        "inbox.test": {"v4", "v6"},
        "v4.inbox.test": {"v4"},
        "v6.inbox.test": {"v6"},
    }


def test_the_receivers_addresses_point_back_to_its_name(
    keys: dict[str, ZoneKey], parsed: dict[str, dns.zone.Zone]
) -> None:
    for address in addresses.RECEIVER:
        zone = parsed[zones.parent_of(address.reverse_pointer, keys)]
        owner = dns.name.from_text(address.reverse_pointer)
        (ptr,) = zone.find_rdataset(owner, dns.rdatatype.PTR)
        assert ptr.target == dns.name.from_text(addresses.RECEIVER_NAME)


def test_the_trust_anchor_is_the_key_of_the_root(keys: dict[str, ZoneKey]) -> None:
    anchor = zones.trust_anchor(keys[ROOT])
    assert anchor.split()[:4] == [".", "5", "IN", "DNSKEY"]
    assert keys[ROOT].public.to_text() in anchor


def test_knot_is_told_of_every_zone_and_its_key(keys: dict[str, ZoneKey]) -> None:
    served = tuple(keys)
    text = nameserver.knot_configuration(served, "c2VjcmV0")
    script = nameserver.import_script(served)
    for zone in served:
        name = zone if zone == ROOT else f"{zone}."
        assert f"  - domain: {name}\n" in text
        assert f" {name} import-pem " in script


def test_no_secret_shows_when_files_are_printed(keys: dict[str, ZoneKey]) -> None:
    made = nameserver.files(keys, zones.zone_texts(keys, SPKI), "c2VjcmV0")
    assert "c2VjcmV0" not in repr(made)
    assert "PRIVATE" not in repr((made, keys))
