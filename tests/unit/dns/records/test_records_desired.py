"""Every record of a fleet, worked out from the model."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import DkimPublicKey, keys_of, unread_keys
from mailfleet.dns.records.ptr import ptr_records
from mailfleet.dns.rrset import octets
from mailfleet.model import Fleet, HostEntry, build_fleet

pytestmark = pytest.mark.unit

HOSTS = [
    HostEntry(
        "eu",
        "mta1.eu.shop.example",
        {
            "addresses": ["203.0.113.10"],
            "streams": {"orders": ["203.0.113.11", "2001:db8::11"], "invoices": "orders"},
        },
    ),
    HostEntry(
        "us",
        "mta1.us.shop.example",
        {"streams": {"orders": ["198.51.100.11"], "news": ["198.51.100.12"]}, "inbound": False},
    ),
]
SHOP: dict[str, Any] = {
    "dns": {"provider": "rfc2136", "server": "192.0.2.53", "key": "k"},
    "ttl": 300,
    "dkim": {"period": "2026q4"},
    "dmarc": {"policy": "reject", "subdomain_policy": "quarantine", "reports": ["d@other.example"]},
    "spf": {"includes": ["spf.esp.example"], "all": "~all"},
    "streams": {
        "orders": {"logins": ["shop"]},
        "invoices": {"logins": ["billing"], "tls_port": 1465, "starttls_port": 1587},
    },
}
OTHER: dict[str, Any] = {
    "dmarc": {"strict_dkim": True, "reports": ["d@other.example"]},
    "mx": ["mx1.hoster.example", "mx2.hoster.example"],
    "streams": {"news": {"from_domain": "news.other.example", "logins": ["newsletter"]}},
}


BOTH = {"shop.example": SHOP, "other.example": OTHER}


def fleet(tables: dict[str, dict[str, Any]] = BOTH) -> Fleet:
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    return build_fleet("inventories/prod", HOSTS, {"domains": list(files)}, files, [])


@pytest.fixture(name="found")
def _found() -> dict[tuple[str, str], tuple[str, ...]]:
    keys = [DkimPublicKey("shop.example", "mta1-eu-2026q4", "QUJD")]
    desired = records(fleet(), keys)
    return {
        record.key: tuple(octets(v).decode() if record.type == "TXT" else v for v in record.values)
        for zone in desired.values()
        for record in zone
    }


Found = dict[tuple[str, str], tuple[str, ...]]


def test_hosts_and_helo_names(found: Found) -> None:
    assert found["mta1.eu.shop.example", "A"] == ("203.0.113.10",)
    assert found["orders.mta1.eu.shop.example", "A"] == ("203.0.113.11",)
    assert found["orders.mta1.eu.shop.example", "AAAA"] == ("2001:db8::11",)
    assert found["orders.mta1.eu.shop.example", "TXT"] == ("v=spf1 a -all",)
    # For their postmaster: port 25 of a sending address is closed.
    assert found["orders.mta1.eu.shop.example", "MX"] == ("10 mta1.eu.shop.example.",)
    assert found["mta1.eu.shop.example", "MX"] == ("10 mta1.eu.shop.example.",)
    # A host that takes no mail leaves it to those that do.
    assert found["news.mta1.us.shop.example", "MX"] == ("10 mta1.eu.shop.example.",)
    # A shared address has its owner's names only.
    assert ("invoices.mta1.eu.shop.example", "A") not in found


def test_endpoints(found: Found) -> None:
    assert found["smtp-orders.shop.example", "A"] == ("198.51.100.11", "203.0.113.11")
    assert found["smtp-orders-eu.shop.example", "A"] == ("203.0.113.11",)
    assert found["smtp-orders-us.shop.example", "A"] == ("198.51.100.11",)
    assert found["smtp-invoices.shop.example", "A"] == ("203.0.113.11",)


def test_mail_exchangers(found: Found) -> None:
    inbound = ("10 mta1.eu.shop.example.",)
    assert found["shop.example", "MX"] == inbound
    assert found["bounce.shop.example", "MX"] == inbound
    assert found["news.other.example", "MX"] == ("10 mx1.hoster.example.", "20 mx2.hoster.example.")
    assert found["bounce.news.other.example", "MX"] == inbound
    # Nothing is sent as other.example itself: who takes its mail is no matter of ours.
    assert ("other.example", "MX") not in found


def test_spf(found: Found) -> None:
    expected = (
        "v=spf1 ip4:198.51.100.11 ip4:203.0.113.11 ip6:2001:db8::11 include:spf.esp.example ~all"
    )
    assert found["shop.example", "TXT"] == (expected,)
    assert found["bounce.shop.example", "TXT"] == (expected,)
    assert found["news.other.example", "TXT"] == ("v=spf1 ip4:198.51.100.12 -all",)
    assert ("other.example", "TXT") not in found


def test_dkim(found: Found) -> None:
    name = "mta1-eu-2026q4._domainkey.shop.example"
    assert found[name, "TXT"] == ("v=DKIM1; k=rsa; p=QUJD",)


def test_dmarc(found: Found) -> None:
    assert found["_dmarc.shop.example", "TXT"] == (
        "v=DMARC1; p=reject; sp=quarantine; np=quarantine; rua=mailto:d@other.example",
    )
    own = "v=DMARC1; p=none; sp=none; np=none; adkim=s; rua=mailto:d@other.example"
    assert found["_dmarc.other.example", "TXT"] == (own,)
    # sp and np have no effect below the organisational domain.
    below = "v=DMARC1; p=none; adkim=s; rua=mailto:d@other.example"
    assert found["_dmarc.news.other.example", "TXT"] == (below,)
    assert not any(tag in value for value in (own,) for tag in ("pct=", "rf=", "ri="))


def test_reports_to_another_domain_are_authorised(found: Found) -> None:
    accepted = [name for name, _ in found if "_report" in name]
    assert accepted == ["shop.example._report._dmarc.other.example"]
    assert found[accepted[0], "TXT"] == ("v=DMARC1;",)


def test_reverse() -> None:
    reverse = ptr_records(fleet())
    targets = {str(address): record.rrset.values for address, record in reverse.items()}
    assert targets == {
        "203.0.113.10": ("mta1.eu.shop.example.",),
        "203.0.113.11": ("orders.mta1.eu.shop.example.",),
        "2001:db8::11": ("orders.mta1.eu.shop.example.",),
        "198.51.100.11": ("orders.mta1.us.shop.example.",),
        "198.51.100.12": ("news.mta1.us.shop.example.",),
    }
    assert reverse[ip_address("203.0.113.10")].rrset.name == "10.113.0.203.in-addr.arpa"


def test_the_zone_is_the_domain_file_s() -> None:
    part = {**OTHER, "dns": {**SHOP["dns"], "zone": "corp.example"}}
    part["streams"] = {"news": {"from_domain": "news.brand.corp.example", "logins": ["crm"]}}
    desired = records(fleet({"shop.example": SHOP, "brand.corp.example": part}))
    assert set(desired) == {"shop.example", "corp.example"}
    assert "news.brand.corp.example" in {record.name for record in desired["corp.example"]}


def test_ttl(found: Found) -> None:
    assert {record.ttl for record in records(fleet())["shop.example"]} == {300}


def test_keys_of_unread_hosts_are_recognised() -> None:
    unread = unread_keys(fleet(), read={"mta1.eu.shop.example"})
    assert unread("mta1-us-2026q3._domainkey.shop.example")
    assert not unread("mta1-eu-2026q4._domainkey.shop.example")
    assert not unread("mta1.us.shop.example")


def test_a_key_of_a_host_that_left_is_not_another_one_s_by_the_start_of_its_name() -> None:
    # mta1-eu-b has left the fleet: mta1-eu, which told all its keys, says nothing about it.
    unread = unread_keys(fleet(), read={"mta1.eu.shop.example", "mta1.us.shop.example"})
    assert unread("mta1-eu-b-2026q3._domainkey.shop.example")
    assert not unread("mta1-eu-2026q3._domainkey.shop.example")


def test_a_key_is_of_the_host_whose_selector_it_has() -> None:
    # Their selectors are mta1-eu and mta1-eu-shop.
    names = ("mta1.eu.shop.example", "mta1-eu.shop.example")
    hosts = [
        HostEntry("eu", name, {"streams": {"orders": [f"203.0.113.{number}"]}})
        for number, name in enumerate(names, 1)
    ]
    table = {"dns": SHOP["dns"], "streams": {"orders": {"logins": ["shop"]}}}
    files = {"shop.example": ("dns/shop.example.toml", table)}
    made = build_fleet("inventories/prod", hosts, {"domains": list(files)}, files, [])
    unread = unread_keys(made, read={names[0]})
    assert unread("mta1-eu-shop-1._domainkey.shop.example")
    assert not unread("mta1-eu-1._domainkey.shop.example")


def test_an_unreadable_key_is_not_published_as_revoked() -> None:
    good = {"domain": "shop.example", "selector": "a-1", "p": "QUJD"}
    found = keys_of([good, {"domain": "shop.example", "selector": "b-1", "p": None}])
    assert [key.selector for key in found.keys] == ["a-1"]
    assert not found.complete
    assert keys_of([good]).complete
    assert not keys_of([]).complete
