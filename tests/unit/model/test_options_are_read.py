"""Each option of an inventory, a host and a domain file changes the fleet: none is accepted and ignored."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from mailfleet.model import Fleet
from mailfleet.model.limits import InboundLimits, Limits, Retry
from mailfleet.model.open_ports import OpenPort
from mailfleet.model.outbound_tls import TlsDemand
from mailfleet.model.policies import Bimi, Caa, Dkim, MtaSts, Spf
from mailfleet.model.provider import (
    CloudflareSettings,
    DnsTable,
    HetznerSettings,
    ManualSettings,
    OctodnsSettings,
    Rfc2136Settings,
)
from mailfleet.model.schema import (
    DmarcTable,
    DomainTable,
    HostTable,
    InventoryTable,
    StreamTable,
    TlsRptTable,
    TlsTable,
)
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

PROVIDERS = (
    CloudflareSettings,
    HetznerSettings,
    ManualSettings,
    OctodnsSettings,
    Rfc2136Settings,
)

USED_AS_READ = {
    InboundLimits,
    Limits,
    Retry,
    OpenPort,
    TlsDemand,
    Dkim,
    Spf,
    MtaSts,
    Caa,
    Bimi,
    *PROVIDERS,
}
"""Tables that the fleet holds themselves: what is read is there."""

READ_ELSEWHERE = {
    "InventoryTable.domains": "names the files to read, before there is a fleet",
    "HostTable.streams": "every fleet has it",
    "StreamTable.logins": "every fleet has it",
    "DnsTable.settings": "the fleet holds them themselves",
    "DomainTable.sends": "test_a_parked_domain",
}

RFC2136 = {"provider": "rfc2136", "server": "192.0.2.53", "key": "mailfleet"}
WITH_DOMAIN = {"reports": ["dmarc@shop.example"]}

# By table and option: the table without it, and with it.
EXAMPLES: dict[type[BaseModel], dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    InventoryTable: {
        "name": ({}, {"name": "shop"}),
        "reverse_dns": ({}, {"reverse_dns": RFC2136}),
        "inbound_scan": ({}, {"inbound_scan": "virus"}),
        "inbound_limits": ({}, {"inbound_limits": {"keep_days": 7}}),
        "lab": ({}, {"lab": "w"}),
        "never_banned": ({}, {"never_banned": ["192.0.2.0/24"]}),
        "open_ports": ({}, {"open_ports": [{"port": 9100}]}),
        "acme": ({}, {"acme": "production"}),
        "acme_contact": ({}, {"acme_contact": "postmaster@shop.example"}),
        "outbound_tls": ({}, {"outbound_tls": {"bank.example": "secure"}}),
    },
    HostTable: {
        "addresses": ({}, {"addresses": ["203.0.113.9"]}),
        "selector": ({}, {"selector": "one"}),
        "inbound": ({"addresses": ["203.0.113.9"]}, {"inbound": False}),
        "inbound_scan": ({}, {"inbound_scan": "virus"}),
        "reverse_dns": ({}, {"reverse_dns": RFC2136}),
        "suite": ({}, {"suite": "trixie"}),
        "ssh_port": ({}, {"ssh_port": 2222}),
        "open_ports": ({}, {"open_ports": [{"port": 9100}]}),
    },
    DomainTable: {
        "dns": ({}, {"dns": RFC2136}),
        "dkim": ({}, {"dkim": {"bits": 3072}}),
        "dmarc": ({}, {"dmarc": WITH_DOMAIN}),
        "spf": ({}, {"spf": {"all": "~all"}}),
        "mx": ({}, {"mx": ["mx.shop.example"]}),
        "ttl": ({}, {"ttl": 300}),
        "postmaster": ({}, {"postmaster": "ops@other.example"}),
        "mta_sts": ({}, {"mta_sts": {"mode": "testing"}}),
        "tls_rpt": ({}, {"tls_rpt": {"reports": ["tls@shop.example"]}}),
        "tls": ({}, {"tls": {"rsa": True}}),
        "caa": ({}, {"caa": {"issuers": ["letsencrypt.org"]}}),
        "bimi": (
            {"dmarc": {"policy": "reject"}},
            {"bimi": {"logo": "https://shop.example/logo.svg"}},
        ),
        "streams": ({}, {"streams": {"marketing": {"logins": ["other"]}}}),
    },
    DmarcTable: {
        "policy": ({}, {"policy": "reject"}),
        "subdomain_policy": ({}, {"subdomain_policy": "reject"}),
        "nonexistent_policy": ({}, {"nonexistent_policy": "reject"}),
        "strict_dkim": ({}, {"strict_dkim": True}),
        "strict_spf": ({}, {"strict_spf": True}),
        "reports": ({}, WITH_DOMAIN),
        "testing": ({"policy": "reject"}, {"testing": True}),
        "subdomains": ({"policy": "reject"}, {"subdomains": {"news.shop.example.net": "none"}}),
    },
    TlsRptTable: {"reports": ({"reports": ["a@shop.example"]}, {"reports": ["b@shop.example"]})},
    TlsTable: {"rsa": ({}, {"rsa": True})},
    StreamTable: {
        "from_domain": ({}, {"from_domain": "news.shop.example.net"}),
        "return_path": ({}, {"return_path": "back.shop.example.net"}),
        "tls_port": ({}, {"tls_port": 8465}),
        "starttls_port": ({}, {"starttls_port": 8587}),
        "kind": ({}, {"kind": "marketing"}),
        "scan": ({}, {"scan": "virus"}),
        "on_scanner_failure": ({"scan": "virus"}, {"on_scanner_failure": "pass"}),
        "client_trace": ({}, {"client_trace": "keep"}),
        "limits": ({}, {"limits": {"messages_per_minute": 7}}),
        "retry": ({}, {"retry": {"give_up_hours": 7}}),
    },
    DnsTable: {
        "zone": ({}, {"zone": "example.net"}),
    },
}

TABLES = (*EXAMPLES, *USED_AS_READ)


def fleet_with(table: type[BaseModel], content: dict[str, Any]) -> Fleet:
    """The fleet of one host and one domain, with `content` where `table` stands."""
    options: dict[str, Any] = {"domains": ["shop.example.net"]}
    host: dict[str, Any] = {"streams": {"marketing": ["203.0.113.11"]}}
    stream: dict[str, Any] = {"logins": ["shop"]}
    domain: dict[str, Any] = {"dns": {"provider": "manual"}, "streams": {"marketing": stream}}
    places = {
        InventoryTable: options,
        HostTable: host,
        DomainTable: domain,
        StreamTable: stream,
        DmarcTable: domain.setdefault("dmarc", {}),
        TlsTable: domain.setdefault("tls", {}),
    }
    if table is TlsRptTable:
        places[table] = domain.setdefault("tls_rpt", {})
    if table is DnsTable:
        places[table] = domain["dns"]
    if table is DmarcTable:
        stream["from_domain"] = "news.shop.example.net"
    places[table].update(content)
    other = {"streams": {"marketing": ["203.0.113.12"]}}
    hosts = {"mta1.shop.example.net": host, "mta2.shop.example.net": other}
    return fleet_of(hosts, {"shop.example.net": domain}, **options)


@pytest.mark.parametrize(
    ("table", "option"),
    [(table, option) for table, options in EXAMPLES.items() for option in options],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_option_changes_the_fleet(table: type[BaseModel], option: str) -> None:
    without, given = EXAMPLES[table][option]
    with_it = fleet_with(table, {**without, **given})
    assert with_it != fleet_with(table, without)


def test_a_parked_domain() -> None:
    host = {"streams": {"marketing": ["203.0.113.11"]}}
    shop = {"dns": {"provider": "manual"}, "streams": {"marketing": {"logins": ["shop"]}}}
    parked = {"dns": {"provider": "manual"}, "sends": False}
    domains = {"shop.example.net": shop, "parked.example": parked}
    fleet = fleet_of({"mta1.shop.example.net": host}, domains)
    assert [domain.sends for domain in fleet.domains] == [True, False]


def test_every_option_has_an_example() -> None:
    missing = [
        name
        for table, examples in EXAMPLES.items()
        for option in table.model_fields
        if option not in examples and (name := f"{table.__name__}.{option}") not in READ_ELSEWHERE
    ]
    assert missing == []


def tables_below(table: type[BaseModel]) -> set[type[BaseModel]]:
    """`table` and every table that one of its fields can hold."""
    tables = {table}

    def look(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in tables:
                tables.update(tables_below(annotation))
            return
        for argument in getattr(annotation, "__args__", ()):
            look(argument)

    for field in table.model_fields.values():
        look(field.annotation)
    return tables


def test_every_table_is_known_here() -> None:
    tables = {
        one for root in (InventoryTable, HostTable, DomainTable) for one in tables_below(root)
    }
    assert tables == set(TABLES)


@pytest.mark.parametrize("table", sorted(USED_AS_READ, key=str))
def test_a_table_that_the_fleet_holds_is_frozen(table: type[BaseModel]) -> None:
    assert table.model_config.get("frozen")
