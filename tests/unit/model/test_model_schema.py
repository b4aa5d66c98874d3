"""What may stand in the tables, and the words for what may not: file, key, fault, remedy."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from mailfleet.errors import ConfigurationError
from tests.builders import ONE_STREAM, fleet_of

pytestmark = pytest.mark.unit

DOMAIN = ONE_STREAM
HOST: dict[str, Any] = {"streams": {"orders": ["203.0.113.10"]}}


def problems(
    host: object = HOST,
    domain: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> list[str]:
    """Every problem of a fleet of one host and one domain."""
    try:
        fleet_of({"mta1.shop.example": host}, {"shop.example": domain or DOMAIN}, **(options or {}))
    except ConfigurationError as error:
        return [str(problem) for problem in error.problems]
    return []


def stream(**keys: object) -> dict[str, Any]:
    """A domain file whose only stream has these keys."""
    return {"streams": {"orders": {"logins": ["shop"], **keys}}}


def test_the_smallest_fleet_has_no_problem() -> None:
    assert problems() == []


def test_networks_and_single_addresses_are_never_banned() -> None:
    spared = ["203.0.113.0/24", "2001:db8:17::/48", "198.51.100.7", "2001:db8::7"]
    assert problems(options={"domains": ["shop.example"], "never_banned": spared}) == []


def test_addresses_may_be_one_text_a_list_or_objects() -> None:
    for addresses in ("203.0.113.10", ["203.0.113.10"], [IPv4Address("203.0.113.10")]):
        assert problems({"streams": {"orders": addresses}}) == []
    both = [IPv6Address("2001:db8::1"), "203.0.113.10"]
    assert problems({"addresses": both, "streams": {"orders": both}}) == []


IN_DOMAIN_FILE = [
    ({"stream": {}}, "stream: unknown key; did you mean 'streams'?"),
    (
        {"zzz": 1},
        "zzz: unknown key; known are dns, dkim, dmarc, spf, mx, ttl, postmaster, sends, mta_sts, "
        "tls_rpt, tls, caa, bimi, streams",
    ),
    ({"streams": ["x"]}, "streams: a list is not a table; write keys with values"),
    ({"streams": {"orders": 5}}, "streams.orders: 5 is not a table; write keys with values"),
    (
        {"streams": {"Orders": {"logins": ["shop"]}}},
        "streams.Orders: 'Orders' does not fit; start with a small letter, then small letters and "
        "digits, 20 at most, e.g. marketing",
    ),
    ({"streams": {"orders": {}}}, "streams.orders.logins: is missing; add it"),
    (
        {"streams": {"inbound": {"logins": ["shop"]}}},
        "streams.inbound: 'inbound' is the name of the service that takes bounces and reports; "
        "call the stream otherwise",
    ),
    (
        {"streams": {"postfix": {"logins": ["shop"]}}},
        "streams.postfix: 'postfix' is the name of the instance that takes bounces and reports; "
        "call the stream otherwise",
    ),
    ({**DOMAIN, "mx": []}, "mx: is empty; give at least one"),
    (
        {**DOMAIN, "mx": ["mta1.shop.example"]},
        "mx: mta1.shop.example is a host of this fleet, which would refuse the mail; leave mx out, and "
        "the fleet takes it",
    ),
    (
        {**DOMAIN, "mx": ["smtp-orders.shop.example"]},
        "mx: smtp-orders.shop.example is the endpoint of stream orders, which would refuse the mail; "
        "leave mx out, and the fleet takes it",
    ),
    (
        {**DOMAIN, "mx": ["smtp-orders-eu.shop.example"]},
        "mx: smtp-orders-eu.shop.example is the endpoint of stream orders, which would refuse the mail; "
        "leave mx out, and the fleet takes it",
    ),
    (
        {**DOMAIN, "mx": ["mta-sts.shop.example"], "mta_sts": {"mode": "testing"}},
        "mx: mta-sts.shop.example is the name that serves an MTA-STS policy of this fleet, which would "
        "refuse the mail; leave mx out, and the fleet takes it",
    ),
    (
        {**DOMAIN, "dmarc": {"reports": [f"{'d' * 65}@esp.example"]}},
        f"dmarc.reports: '{'d' * 65}@esp.example' has more than 64 characters before the @; shorten them",
    ),
    (
        {**DOMAIN, "spf": {"includes": [f"i{number}.esp.example" for number in range(11)]}},
        "spf.includes: has 11 includes, and receivers stop at 10 look-ups (RFC 7208 §4.6.4); remove some",
    ),
    (
        {
            **DOMAIN,
            "caa": {"issuers": ["letsencrypt.org"], "account_uri": "https://a.example:70000/1"},
        },
        "caa.account_uri: 'https://a.example:70000/1' names port 70000; write one from 1 to 65535, or none",
    ),
    (
        {**DOMAIN, "caa": {"issuers": ["letsencrypt.org"], "account_uri": "https://-.example/1"}},
        "caa.account_uri: '-.example' is not a valid host name: labels of 1 to 63 letters, digits and "
        "inner hyphens",
    ),
    (stream(logins=["shop", "shop"]), "streams.orders.logins: shop is listed twice; remove one"),
    (
        {**DOMAIN, "mx": ["mx.office.example", "MX.office.example."]},
        "mx: mx.office.example is listed twice; remove one",
    ),
    (
        {**DOMAIN, "spf": {"includes": ["_spf.esp.example", "_SPF.esp.example."]}},
        "spf.includes: _spf.esp.example is listed twice; remove one",
    ),
    (
        {**DOMAIN, "dmarc": {"reports": ["d@a.example", "mailto:d@A.example"]}},
        "dmarc.reports: d@a.example is listed twice; remove one",
    ),
    (stream(logins=[]), "streams.orders.logins: is empty; give at least one"),
    (stream(logins="shop"), "streams.orders.logins: 'shop' is not a list; write ['shop']"),
    (stream(logins=[7]), "streams.orders.logins: 7 is not a text; write one in quotes"),
    (
        stream(logins=["a b"]),
        "streams.orders.logins: 'a b' does not fit; start with a small letter, then small letters, "
        "digits and _, 31 at most, e.g. shop_eu",
    ),
    (
        stream(tls_port="465"),
        "streams.orders.tls_port: '465' is not a whole number; write one without quotes or decimals",
    ),
    (stream(tls_port=0), "streams.orders.tls_port: 0 is too small; the least is 1"),
    (
        stream(starttls_port=70000),
        "streams.orders.starttls_port: 70000 is too large; the most is 65535",
    ),
    (
        stream(limits={"messages_per_minut": 1}),
        "streams.orders.limits.messages_per_minut: unknown key; did you mean 'messages_per_minute'?",
    ),
    (
        stream(from_domain="shop"),
        "streams.orders.from_domain: 'shop' is not fully qualified; write the whole name, e.g. "
        "mta1.eu.example.com",
    ),
    (
        {"dkim": {"bits": 1024}},
        "dkim.bits: 1024 is not known; write one of 2048, 3072 or 4096",
    ),
    (
        {"dkim": {"period": "2026-Q4"}},
        "dkim.period: '2026-Q4' does not fit; write 1 to 16 small letters and digits, e.g. 2026q4",
    ),
    (
        {"dmarc": {"policy": "Reject"}},
        "dmarc.policy: 'Reject' is not known; write one of 'none', 'quarantine' or 'reject'",
    ),
    (
        {"dmarc": {"strict_spf": "yes"}},
        "dmarc.strict_spf: 'yes' is not true or false; write one of the two without quotes",
    ),
    (
        {"dmarc": {"reports": ["a;b@shop.example"]}},
        "dmarc.reports: 'a;b@shop.example' is not a mail address; write e.g. reports@example.com",
    ),
    ({"dmarc": "reject"}, "dmarc: 'reject' is not a table; write keys with values"),
    ({"spf": {"all": "?all"}}, "spf.all: '?all' is not known; write one of '-all' or '~all'"),
    (
        {"mx": "mx.office.example"},
        "mx: 'mx.office.example' is not a list; write ['mx.office.example']",
    ),
    ({"ttl": 0}, "ttl: 0 is too small; the least is 1"),
    ({"dns": {}}, "dns.provider: is missing; add it"),
    (
        {"dns": {"provider": "rfc2136", "server": "ns1.shop.example", "key": "k"}},
        "dns.server: 'ns1.shop.example' is not an IP address; write e.g. 203.0.113.10 or "
        "2001:db8::10, no prefix length",
    ),
    (
        {"dns": {"provider": "rfc2136", "server": "203.0.113.1", "key": "A KEY"}},
        "dns.key: 'A KEY' does not fit; write the key's name in small letters, digits, dots and "
        "hyphens, e.g. mailfleet",
    ),
]


@pytest.mark.parametrize(("content", "expected"), IN_DOMAIN_FILE)
def test_a_wrong_domain_file(content: dict[str, Any], expected: str) -> None:
    domain = content if "streams" in content else {**DOMAIN, **content}
    assert problems(domain=domain) == [f"dns/shop.example.toml: {expected}"]


NUMBER_AS_KEY: dict[Any, Any] = {**HOST, 5: 1}
NUMBER_AS_STREAM = {"streams": {5: ["203.0.113.10"]}}
IN_HOST: list[tuple[object, str]] = [
    (None, 'None is not a table; write ("mta1.shop.example", {"streams": {...}})'),
    (["203.0.113.10"], "a list is not a table; write"),
    ({}, "streams: is missing; add it"),
    ({"streams": ["orders"]}, "streams: a list is not a table; write keys with values"),
    ({"streams": {"orders": 5}}, "streams.orders: 5 is not a list; write [...]"),
    (
        {"streams": {"orders": ["203.0.113"]}},
        "streams.orders: '203.0.113' is not an IP address; write e.g. 203.0.113.10",
    ),
    ({"streams": {"orders": [7]}}, 'streams.orders: 7 is not an IP address; write e.g. "203'),
    (
        {"streams": {"orders": ["203.0.113.10", "203.0.113.11"]}},
        "streams.orders: 203.0.113.10, 203.0.113.11: give at most one IPv4 and one IPv6 address",
    ),
    ({"streams": {"orders": "Other"}}, "streams.orders: 'Other' does not fit; start with a small"),
    (NUMBER_AS_KEY, "5 stands where a key belongs; write a text in quotes"),
    (NUMBER_AS_STREAM, "streams: 5 is not a text; write one in quotes"),
    ({**HOST, "address": "203.0.113.10"}, "address: unknown key; did you mean 'addresses'?"),
    ({**HOST, "addresses": 5}, "addresses: 5 is not a list; write [...]"),
    ({**HOST, "addresses": []}, "addresses: is empty; give at least one"),
    ({**HOST, "inbound": 1}, "inbound: 1 is not true or false; write one of the two"),
    ({**HOST, "suite": "sid"}, "suite: 'sid' is not known; write one of 'bookworm' or 'trixie'"),
    ({**HOST, "selector": "a.b"}, "selector: 'a.b' does not fit; write 1 to 32 small letters"),
    ({**HOST, "ssh_port": "2222"}, "ssh_port: '2222' is not a whole number; write one without"),
]


@pytest.mark.parametrize(("data", "expected"), IN_HOST)
def test_wrong_host_data(data: object, expected: str) -> None:
    found = problems(data)
    assert len(found) == 1
    assert found[0].startswith(f"inventories/prod: host mta1.shop.example: {expected}")


def test_pyinfras_own_keys_pass() -> None:
    assert problems({**HOST, "ssh_user": "root", "_sudo": True, "ssh_port": 2222}) == []


IN_INVENTORY = [
    ({"domains": "shop.example"}, "domains: 'shop.example' is not a list; write ['shop.example']"),
    ({"domains": {"shop.example"}}, "domains: a set is not a list; write [...]"),
    ({"domains": []}, "domains: is empty; give at least one"),
    ({"domains": ["shop"]}, "domains: 'shop' is not fully qualified; write the whole name"),
    ({"domain": ["shop.example"]}, "domain: unknown key; did you mean 'domains'?"),
    ({"lab": "My Lab"}, "lab: 'My Lab' does not fit; start with a small letter"),
    ({"reverse_dns": "hetzner"}, "reverse_dns: 'hetzner' is not a table; write keys with values"),
    (
        {"never_banned": "203.0.113.0/24"},
        "never_banned: '203.0.113.0/24' is not a list; write ['203.0.113.0/24']",
    ),
    (
        {"never_banned": ["office"]},
        "never_banned: 'office' is not a network; write e.g. 203.0.113.0/24, 2001:db8::/48 or "
        "203.0.113.10",
    ),
    (
        {"never_banned": ["fe80::1%eth0"]},
        "never_banned: 'fe80::1%eth0' is not a network; write e.g. 203.0.113.0/24, 2001:db8::/48 or "
        "203.0.113.10",
    ),
    ({"never_banned": [7]}, 'never_banned: 7 is not a network; write e.g. "203.0.113.0/24"'),
    (
        {"never_banned": ["203.0.113.9/24"]},
        "never_banned: '203.0.113.9/24' is an address within a network; write 203.0.113.0/24 for the "
        "network",
    ),
    (
        {"never_banned": ["::/0"]},
        "never_banned: '::/0' is a large part of the Internet; write networks of your own, /16 or "
        "smaller",
    ),
    (
        {"reverse_dns": {"provider": "route53"}},
        "reverse_dns.provider: 'route53' is not known; write one of 'rfc2136', 'hetzner', "
        "'cloudflare', 'octodns' or 'manual'",
    ),
    (
        {"reverse_dns": {"provider": "hetzner", "zone": "2.0.192.in-addr.arpa"}},
        "reverse_dns.zone: is for [dns] of a domain file; remove it, the zone of a PTR record "
        "follows from its address",
    ),
    (
        {"reverse_dns": {"us": {"provider": "hetzner"}}},
        "reverse_dns.us: is no region; known are eu",
    ),
    (
        {"reverse_dns": {"eu": {"provider": "hetzer"}}},
        "reverse_dns.eu.provider: 'hetzer' is not known; write one of 'rfc2136', 'hetzner', "
        "'cloudflare', 'octodns' or 'manual'",
    ),
]


@pytest.mark.parametrize(("options", "expected"), IN_INVENTORY)
def test_wrong_inventory_options(options: dict[str, Any], expected: str) -> None:
    found = problems(options={"domains": ["shop.example"], **options})
    assert len(found) == 1
    assert found[0].startswith(f"inventories/prod: {expected}")


# "enforce" needs a lab, or an authority that others trust.
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"labb": "w"}, "labb: unknown key; did you mean 'lab'?"),
        ({"lab": "My Lab"}, "lab: 'My Lab' does not fit"),
        ({"lab": "w", "zzz": 1}, "zzz: unknown key"),
        ({"lab": "w", "inbound_scan": "x"}, "inbound_scan: 'x' is not known"),
        ({"acmee": "production"}, "acmee: unknown key; did you mean 'acme'?"),
        ({"acme": "prod"}, "acme: 'prod' does not fit"),
    ],
)
def test_a_wrong_option_blames_nothing_else(options: dict[str, Any], expected: str) -> None:
    domain = {**DOMAIN, "mta_sts": {"mode": "enforce"}}
    found = problems(HOST, domain, {"domains": ["shop.example"], **options})
    assert len(found) == 1
    assert found[0].startswith(f"inventories/prod: {expected}")


def test_a_mistyped_key_is_not_missing_as_well() -> None:
    assert problems(options={"domians": ["shop.example"]}) == [
        "inventories/prod: domians: unknown key; did you mean 'domains'?"
    ]
    dns = {"provider": "rfc2136", "serve": "203.0.113.1", "kez": "k"}
    assert problems(domain={**DOMAIN, "dns": dns}) == [
        "dns/shop.example.toml: dns.serve: unknown key; did you mean 'server'?",
        "dns/shop.example.toml: dns.kez: unknown key; did you mean 'key'?",
    ]


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        {"streams": {"orders": ["x"], "other": ["y", "z"]}, "suite": "sid"},
        {"ttl": 0, "dmarc": {"policy": "x", "reports": ["a", "b"]}, **DOMAIN},
        {"domains": ["shop.example"], "lab": "?"},
    )
    assert len(found) == 9
    assert len(set(found)) == 9


def test_a_number_that_python_would_not_print() -> None:
    assert problems({**HOST, "ssh_port": 10**6000}) == [
        "inventories/prod: host mta1.shop.example: ssh_port: a number of more than 64 bits is too "
        "large; the most is 65535"
    ]


def test_a_long_value_is_cut_and_a_structure_is_named_not_printed() -> None:
    assert len(problems(domain={**DOMAIN, "dkim": {"period": "x" * 5000}})[0]) < 300
    secret = problems(domain={"streams": {"orders": {"logins": {"shop": "hunter2"}}}})
    assert secret == [
        "dns/shop.example.toml: streams.orders.logins: a table is not a list; write [...]"
    ]
