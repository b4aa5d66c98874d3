"""The checks between machines and identities: each finding with its file, its key and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.errors import ConfigurationError
from mailfleet.model import Fleet, HostEntry, Rfc2136Settings, build_fleet
from mailfleet.model.checks import deploy_problems
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

INVENTORY = "inventories/prod"
SHOP = "dns/shop.example.toml"


def stream(**keys: Any) -> dict[str, Any]:
    return {"logins": ["shop"], **keys}


def build(
    hosts: dict[str, dict[str, Any]],
    domains: dict[str, dict[str, Any]] | None = None,
    regions: dict[str, str] | None = None,
    **options: Any,
) -> Fleet:
    """A fleet of hosts named below shop.example; all in region eu unless `regions` says another."""
    places = {f"{name}.shop.example": (regions or {}).get(name, "eu") for name in hosts}
    named = dict(zip(places, hosts.values(), strict=True))
    return fleet_of(named, domains, regions=places, **options)


def problems(*arguments: Any, **keywords: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        build(*arguments, **keywords)
    return [str(problem) for problem in error.value.problems]


MTA1 = {"streams": {"orders": ["203.0.113.10"]}}
TWO = {"orders": stream(), "news": stream(logins=["letter"])}


def test_the_designs_example() -> None:
    found = problems(
        {
            "mta1.eu": {"streams": {"orders": ["203.0.113.10"]}},
            "mta2.eu": {"streams": {"orders": ["203.0.113.10"]}},
        },
    )
    assert found == [
        "inventories/prod: host mta2.eu.shop.example: address 203.0.113.10 is already the orders "
        "address of mta1.eu.shop.example; give each host and stream an address of its own"
    ]


def test_two_streams_of_a_host_share_an_address_only_by_name() -> None:
    host = {"streams": {"orders": ["203.0.113.10"], "news": ["203.0.113.10"]}}
    assert problems({"mta1": host}, {"shop.example": {"streams": TWO}}) == [
        f"{INVENTORY}: host mta1.shop.example: address 203.0.113.10 is already the orders address of "
        'mta1.shop.example; to share it, write "news": "orders"'
    ]


def test_an_own_address_that_is_another_hosts_stream_address() -> None:
    found = problems({"mta1": MTA1, "mta2": {"addresses": "203.0.113.10", "streams": {}}})
    assert found == [
        f"{INVENTORY}: host mta2.shop.example: address 203.0.113.10 is already the orders address of "
        "mta1.shop.example; give each host and stream an address of its own"
    ]


def test_a_host_stands_in_one_region() -> None:
    with pytest.raises(ConfigurationError) as error:
        build_fleet(
            INVENTORY,
            [
                HostEntry("eu", "mta1.shop.example", MTA1),
                HostEntry("us", "MTA1.shop.example.", {"streams": {"orders": ["203.0.113.11"]}}),
            ],
            {"domains": ["shop.example"]},
            {"shop.example": (SHOP, {"streams": {"orders": stream()}})},
            [],
        )
    assert str(error.value) == (
        f"{INVENTORY}: host mta1.shop.example: is already a host of region eu; a host stands in one "
        "region only"
    )


def test_a_helo_name_is_no_other_hosts_name() -> None:
    other = {"streams": {"orders": ["203.0.113.11"]}, "selector": "other"}
    assert problems({"mta1": MTA1, "orders.mta1": other}) == [
        f"{INVENTORY}: host mta1.shop.example: its HELO name orders.mta1.shop.example is also the "
        "name of a host; give that host another name"
    ]


def test_derived_names_stay_within_dns_limits() -> None:
    from_domain = f"{'.'.join(['b' * 60] * 3)}.shop.example"
    found = problems({"mta1": MTA1}, {"shop.example": _orders(from_domain=from_domain)})
    assert [line.split(": ")[1] for line in found] == [
        "streams.orders.from_domain",
        "streams.orders.return_path",
    ]
    assert "is too long for the DKIM and DMARC names below it" in found[0]


def test_a_default_selector_that_is_too_long() -> None:
    name = f"{'m' * 40}.eu"
    assert problems({name: MTA1}) == [
        f"{INVENTORY}: host {name}.shop.example: selector: the default, {'m' * 40}-eu, is longer than "
        "32 characters; set a shorter one"
    ]


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "fe80::1", "fc00::5", "224.0.0.1"])
def test_an_address_that_no_provider_can_see(address: str) -> None:
    assert problems({"mta1": {"streams": {"orders": [address]}}}) == [
        f"{INVENTORY}: host mta1.shop.example: address {address} is not a public address, so no "
        "mailbox provider can see mail come from it; give the address that the Internet sees"
    ]


def test_example_addresses_load_but_do_not_deploy_outside_a_lab() -> None:
    (problem,) = deploy_problems(build({"mta1": MTA1}))
    assert str(problem) == (
        f"{INVENTORY}: host mta1.shop.example: address 203.0.113.10 is reserved for documentation "
        "(RFC 5737, RFC 3849); put the server's real address before you deploy"
    )
    assert deploy_problems(build({"mta1": MTA1}, lab="lab")) == []


V4, V6 = ({"streams": {"orders": [address]}} for address in ("203.0.113.10", "2001:db8::10"))


def test_hosts_that_share_a_name_need_a_common_ip_version() -> None:
    (problem,) = problems({"mta1": V4, "mta2": V6}, lab="lab")
    assert problem == (
        f"{INVENTORY}: host mta1.shop.example: addresses: serves the endpoint of stream orders "
        "together with mta2.shop.example, with which it shares no IP version, so that neither gets "
        "a certificate for it; give one of the two an address of its own of the other version"
    )
    mended = {**V6, "addresses": ["203.0.113.20", "2001:db8::20"]}
    build({"mta1": V4, "mta2": mended}, lab="lab")


def test_hosts_that_serve_the_same_policies_need_a_common_ip_version() -> None:
    streams = {"orders": stream(), "news": stream(logins=["letter"])}
    v6 = {"streams": {"news": ["2001:db8::10"]}}
    policy = {"streams": streams, "mta_sts": {"mode": "enforce"}}

    def found(table: dict[str, Any], **keys: Any) -> int:
        hosts = {"mta1": V4, "mta2": {**v6, **keys}}
        try:
            build(hosts, {"shop.example": table}, lab="lab")
        except ConfigurationError as error:
            return len(error.problems)
        return 0

    assert found({"streams": streams}) == 0
    assert found(policy) == 1
    assert found(policy, inbound=False) == 0


def test_a_lab_has_its_own_authority() -> None:
    assert problems({"mta1": MTA1}, lab="lab", acme="production") == [
        f"{INVENTORY}: acme: a lab has an authority of its own; remove acme"
    ]
    assert build({"mta1": MTA1}).acme == "staging"
    assert build({"mta1": MTA1}, acme="https://ca.example/dir").acme == "https://ca.example/dir"


@pytest.mark.parametrize("acme", ["prod", "http://ca.example/dir", "https://ca.example", ""])
def test_no_acme_directory(acme: str) -> None:
    (problem,) = problems({"mta1": MTA1}, acme=acme)
    assert f'acme: {acme!r} does not fit; write "production" or "staging"' in problem


def _orders(**keys: Any) -> dict[str, Any]:
    return {"streams": {"orders": stream(**keys)}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            _orders(tls_port=587),
            "streams.orders: tls_port and starttls_port are the same; change one",
        ),
        (
            _orders(tls_port=25),
            "streams.orders.tls_port: port 25 serves bounces and reports; set another, e.g. 465, 587, "
            "2465 or 2587",
        ),
        (
            _orders(from_domain="news.other.example"),
            "streams.orders.from_domain: news.other.example is outside shop.example; declare the "
            "stream in dns/news.other.example.toml",
        ),
        (
            _orders(return_path="bounce.other.example"),
            "streams.orders.return_path: bounce.other.example is outside shop.example, so SPF could "
            "not align with From (RFC 9989 §5.1); use e.g. bounce.shop.example",
        ),
        (
            {**_orders(), "dns": {"provider": "hetzner", "zone": "other.example"}},
            "dns.zone: other.example is neither shop.example nor a parent of it; name the zone it is "
            "in",
        ),
        (
            {**_orders(), "dns": {"provider": "rfc2136", "server": "203.0.113.53"}},
            'dns.key: is missing; add it, e.g. key = "mailfleet"',
        ),
    ],
)
def test_a_domain_that_contradicts_itself(content: dict[str, Any], expected: str) -> None:
    found = problems({"mta1": MTA1}, {"shop.example": content})
    assert f"{SHOP}: {expected}" in found


def test_reverse_dns_needs_what_a_domain_needs() -> None:
    assert problems({"mta1": MTA1}, reverse_dns={"provider": "rfc2136"}) == [
        f'{INVENTORY}: reverse_dns.server: is missing; add it, e.g. server = "203.0.113.53"',
        f'{INVENTORY}: reverse_dns.key: is missing; add it, e.g. key = "mailfleet"',
    ]


def _signed(key: str) -> dict[str, Any]:
    return {"provider": "rfc2136", "server": "203.0.113.53", "key": key}


def test_two_tsig_keys_have_two_secrets() -> None:
    domains = {
        "shop.example": {**_orders(), "dns": _signed("fleet-a.b")},
        "other.example": {"dns": _signed("fleet-a-b")},
    }
    text = (
        "has its secret in MAILFLEET_TSIG_FLEET_A_B, and so has the key 'fleet-a.b' of "
        f"{SHOP}; rename one of the keys at its name server and here"
    )
    assert problems({"mta1": MTA1}, domains, reverse_dns=_signed("fleet.a.b")) == [
        f"dns/other.example.toml: dns.key: the key 'fleet-a-b' {text}",
        f"{INVENTORY}: reverse_dns.key: the key 'fleet.a.b' {text}",
    ]


def test_one_tsig_key_may_serve_several_zones() -> None:
    domains = {
        "shop.example": {**_orders(), "dns": _signed("fleet-a")},
        "other.example": {"dns": _signed("fleet-a")},
    }
    fleet = build({"mta1": MTA1}, domains, reverse_dns=_signed("fleet-ab"))
    shop, other = (domain.dns for domain in fleet.domains)
    assert isinstance(shop, Rfc2136Settings)
    assert (shop.key, shop) == ("fleet-a", other)


def test_streams_and_logins_are_unique_in_a_fleet() -> None:
    domains = {"shop.example": _orders(), "other.example": _orders()}
    assert problems({"mta1": MTA1}, domains) == [
        "dns/other.example.toml: streams.orders: is already a stream of shop.example; stream names "
        "are unique in a fleet",
        "dns/other.example.toml: streams.orders.logins: login 'shop' already belongs to stream "
        "orders; one login, one stream",
    ]


def test_one_zone_has_one_provider() -> None:
    domains = {
        "shop.example": {**_orders(), "dns": {"provider": "hetzner"}},
        "b.shop.example": {"dns": {"provider": "cloudflare", "zone": "shop.example"}},
    }
    assert problems({"mta1": MTA1}, domains) == [
        f"dns/b.shop.example.toml: dns: differs from [dns] of {SHOP}, though both name the zone "
        "shop.example; one zone has one provider"
    ]


def test_a_shared_address_needs_ports_of_its_own() -> None:
    host = {"streams": {"orders": ["203.0.113.10"], "news": "orders"}}
    text = "of the shared address is already taken by stream orders; set tls_port and starttls_port"
    where = f"{INVENTORY}: host mta1.shop.example: streams.news"
    assert problems({"mta1": host}, {"shop.example": {"streams": TWO}}) == [
        f"{where}: port 465 {text} of stream news",
        f"{where}: port 587 {text} of stream news",
    ]
    other = {"orders": stream(), "news": stream(logins=["n"], tls_port=2465, starttls_port=2587)}
    fleet = build({"mta1": host}, {"shop.example": {"streams": other}})
    assert fleet.hosts[0].sending[1].helo == "orders.mta1.shop.example"


def test_a_stream_does_not_take_the_ssh_port() -> None:
    assert problems({"mta1": {**MTA1, "ssh_port": 587}}) == [
        f"{INVENTORY}: host mta1.shop.example: streams.orders: port 587 is the host's SSH port; set "
        "another port for the stream"
    ]


@pytest.mark.parametrize(
    ("port", "use"), [(25, "bounces and reports"), (80, "certificate challenges")]
)
def test_ssh_does_not_take_a_port_of_the_host_s_own(port: int, use: str) -> None:
    assert problems({"mta1": {**MTA1, "ssh_port": port}}) == [
        f"{INVENTORY}: host mta1.shop.example: ssh_port: port {port} serves {use}; let SSH listen "
        "on another"
    ]


def test_sharing_with_a_stream_that_has_no_address_here() -> None:
    host = {"streams": {"orders": ["203.0.113.10"], "news": "invoices"}}
    assert problems({"mta1": host}, {"shop.example": {"streams": TWO}}) == [
        f"{INVENTORY}: host mta1.shop.example: streams.news: shares the address of stream "
        "'invoices', which has none on this host; name one of orders"
    ]


def test_a_stream_that_no_domain_declares() -> None:
    host = {"streams": {"orders": ["203.0.113.10"], "news": ["203.0.113.11"]}}
    assert problems({"mta1": host}) == [
        f"{INVENTORY}: host mta1.shop.example: streams.news: no domain of this fleet declares the "
        "stream; known are orders. Add [streams.news] to a domain file"
    ]


def test_a_stream_that_no_host_sends() -> None:
    assert problems({"mta1": MTA1}, {"shop.example": {"streams": TWO}}) == [
        f"{SHOP}: streams.news: has a sending address on no host of {INVENTORY}; add it to a host's "
        "streams"
    ]


def test_a_stream_without_any_address() -> None:
    host = {"addresses": ["203.0.113.9"], "streams": {"orders": []}}
    assert problems({"mta1": host}) == [
        f"{INVENTORY}: host mta1.shop.example: streams.orders: has no address; give an IPv4 and/or "
        "IPv6 address"
    ]


def test_a_host_without_any_address() -> None:
    found = problems({"mta1": MTA1, "mta2": {"streams": {}}})
    assert found == [
        f'{INVENTORY}: host mta2.shop.example: has no address; add addresses = ["203.0.113.10"]'
    ]


def test_a_host_outside_every_domain() -> None:
    domains = {"other.example": _orders()}
    assert problems({"mta1": MTA1}, domains) == [
        f"{INVENTORY}: host mta1.shop.example: lies in no domain of this fleet, so its address "
        "records have no home; known are other.example"
    ]


def test_somebody_takes_the_bounces() -> None:
    assert problems({"mta1": {**MTA1, "inbound": False}}) == [
        f"{INVENTORY}: inbound: no host takes bounces; leave inbound = True on at least one"
    ]


def test_two_hosts_with_one_selector() -> None:
    hosts = {
        "mta1": {**MTA1, "selector": "mta"},
        "mta2": {"streams": {"orders": ["203.0.113.11"]}, "selector": "mta"},
    }
    assert problems(hosts) == [
        f"{INVENTORY}: host mta2.shop.example: selector: DKIM selector mta-1 of shop.example is "
        "already that of mta1.shop.example; set another selector"
    ]


def test_an_inventory_without_hosts() -> None:
    assert problems({})[0] == (
        f'{INVENTORY}: has no hosts; add a region: eu = [("mta1.eu.example.com", {{...}})]'
    )


def test_what_a_broken_file_could_have_declared_is_not_reported_as_missing() -> None:
    content = {"streams": {"orders": {"login": ["shop"]}}}
    found = problems({"mta1": MTA1}, {"shop.example": content})
    assert found == [
        f"{SHOP}: streams.orders.login: unknown key; did you mean 'logins'?",
    ]
