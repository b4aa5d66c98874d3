"""What kernel, services, authorities and DNS set limits to is refused when the files are read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailfleet.dns.records.desired import records
from mailfleet.dns.rrset import octets
from mailfleet.errors import MailfleetError
from mailfleet.host.target import Target
from mailfleet.model import Fleet
from mailfleet.project.login_hashes import check_logins, login_hashes
from roles import desired
from tests.builders import fleet_of
from tests.unit.model.test_model_checks import INVENTORY, MTA1, SHOP, build, problems, stream

pytestmark = pytest.mark.unit

LONGEST_SOCKET = 107
"""sun_path of unix(7) has 108 octets, of which the last is a null."""

_SOCKET = re.compile(r"(?:unix:|local:|ListenStream=|unix_listener )(/[^\s,;\"{}]+)")


def test_a_host_name_of_more_than_64_octets() -> None:
    name = f"{'m' * 40}.{'e' * 11}"
    short = {**MTA1, "selector": "m"}
    assert problems({f"{name}e": short}) == [
        f"{INVENTORY}: host {name}e.shop.example: its name has 66 characters, and Linux takes 64 at "
        "most (hostname(7)); shorten it"
    ]
    build({name[1:]: short})


@pytest.mark.parametrize(
    ("host", "use"),
    [
        ("smtp-orders", "its name is also the endpoint of stream orders"),
        ("smtp-orders-eu", "its name is also an endpoint of stream orders"),
        ("bounce", "its name is also the return path of stream orders"),
        ("mta-sts", "its name is also the server of an MTA-STS policy"),
    ],
)
def test_a_host_that_is_called_like_something_else(host: str, use: str) -> None:
    domain = {"streams": {"orders": stream()}, "mta_sts": {"mode": "testing"}}
    assert problems({host: MTA1}, {"shop.example": domain}) == [
        f"{INVENTORY}: host {host}.shop.example: {use}; call the host otherwise"
    ]


def test_a_certificate_has_100_names_at_most() -> None:
    streams = {f"s{n}": {"logins": [f"l{n}"], "tls_port": 2000 + 2 * n, "starttls_port": 2001 + 2 * n}
               for n in range(50)}  # fmt: skip
    use: dict[str, Any] = {"s0": ["192.0.2.11"], **{f"s{n}": "s0" for n in range(1, 50)}}
    assert problems({"mta1": {"streams": use}}, {"shop.example": {"streams": streams}}) == [
        f"{INVENTORY}: host mta1.shop.example: would need a certificate of 102 names, and 100 is the "
        "most; spread the streams over more hosts, or the domains with [mta_sts] over more fleets"
    ]


def test_hosts_of_a_stream_without_an_ip_version_in_common_are_told_at_load() -> None:
    hosts = {
        "mta1": {"streams": {"orders": ["203.0.113.10"]}},
        "mta2": {"streams": {"orders": ["2001:db8::10"]}},
    }
    (problem,) = problems(hosts)
    assert problem.startswith(
        f"{INVENTORY}: host mta1.shop.example: addresses: serves the endpoint of stream orders "
        "together with mta2.shop.example, with which it shares no IP version"
    )


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (
            {"dmarc": {"reports": ["dmarc@shop.example"]}},
            "dmarc.reports: dmarc@shop.example cannot receive: shop.example is no From or "
            "return-path domain, so it has no MX of this fleet; use an address at one that is "
            "(e.g. news.shop.example, bounce.news.shop.example), or at another company's domain, or "
            f"name the servers of shop.example with mx in {SHOP}",
        ),
        (
            {"tls_rpt": {"reports": ["tls@reports.shop.example"]}},
            "tls_rpt.reports: tls@reports.shop.example cannot receive: reports.shop.example is no "
            "From or return-path domain, so it has no MX of this fleet; use an address at one that "
            "is (e.g. news.shop.example, bounce.news.shop.example), or at another company's domain",
        ),
        (
            {"dmarc": {"reports": ["d@parked.example"]}},
            "dmarc.reports: d@parked.example cannot receive: parked.example is parked and takes no "
            "mail; name another",
        ),
        ({"dmarc": {"reports": ["d@news.shop.example", "d@esp.example"]}}, ""),
        ({"dmarc": {"reports": ["d@bounce.news.shop.example"]}}, ""),
        ({"dmarc": {"reports": ["d@shop.example"]}, "mx": ["mx.office.example"]}, ""),
    ],
)
def test_report_addresses_can_receive(tables: dict[str, Any], expected: str) -> None:
    news = {"streams": {"orders": stream(from_domain="news.shop.example")}, **tables}
    domains = {"shop.example": news, "parked.example": {"sends": False}}
    if expected:
        assert problems({"mta1": MTA1}, domains) == [f"{SHOP}: {expected}"]
    else:
        build({"mta1": MTA1}, domains)


def test_the_contact_of_the_authority_can_receive() -> None:
    domains = {"shop.example": {"streams": {"orders": stream(from_domain="news.shop.example")}}}
    (problem,) = problems({"mta1": MTA1}, domains, acme_contact="postmaster@shop.example")
    assert problem.startswith(f"{INVENTORY}: acme_contact: postmaster@shop.example cannot receive")


def _spf(fleet: Fleet, name: str) -> list[str]:
    found = {record.key: record for record in records(fleet)["shop.example"]}
    record = found.get((name, "TXT"))
    return [octets(value).decode() for value in record.values] if record else []


def test_the_domain_above_streams_of_subdomains_only_says_who_sends_as_it() -> None:
    streams = {"streams": {"orders": stream(from_domain="news.shop.example")}}

    def apex(**tables: Any) -> list[str]:
        return _spf(build({"mta1": MTA1}, {"shop.example": {**streams, **tables}}), "shop.example")

    assert apex() == ["v=spf1 -all"]
    assert apex(spf={"includes": ["esp.example"]}) == ["v=spf1 include:esp.example -all"]
    # Who takes its mail elsewhere sends too, and is not ours to forbid it.
    assert apex(mx=["mx.office.example"]) == []
    both = apex(mx=["mx.office.example"], spf={"includes": ["esp.example"]})
    assert both == ["v=spf1 include:esp.example -all"]


@pytest.mark.parametrize(
    "include",
    [
        "shop.example",
        "Shop.Example.",
        "bounce.shop.example",
        "_spf.shop.example",
        "_SPF2.bounce.shop.example.",
    ],
)
def test_an_spf_record_that_includes_itself(include: str) -> None:
    domain = {"streams": {"orders": stream()}, "spf": {"includes": [include]}}
    assert problems({"mta1": MTA1}, {"shop.example": domain}) == [
        f"{SHOP}: spf.includes: {include.lower().rstrip('.')} is a name of the domain itself, whose "
        "record would include itself; remove it"
    ]


def test_domains_that_include_each_other() -> None:
    def domain(include: str, **streams: Any) -> dict[str, Any]:
        return {"streams": streams, "spf": {"includes": [include]}}

    hosts = {
        "mta1": {"streams": {"a": ["203.0.113.1"], "b": ["203.0.113.2"], "c": ["203.0.113.3"]}}
    }
    domains = {
        "shop.example": domain("bounce.b.example", a=stream()),
        "b.example": domain("c.example", b=stream(logins=["b"])),
        "c.example": domain("shop.example", c=stream(logins=["c"])),
    }
    assert problems(hosts, domains) == [
        f"{SHOP}: spf.includes: bounce.b.example leads back through b.example and c.example; remove "
        "one of the includes",
        "dns/b.example.toml: spf.includes: c.example leads back through c.example and shop.example; "
        "remove one of the includes",
        "dns/c.example.toml: spf.includes: shop.example leads back through shop.example and "
        "b.example; remove one of the includes",
    ]
    domains["c.example"]["spf"] = {"includes": ["esp.example"]}
    build(hosts, domains)


def test_includes_with_underscores_within_labels_are_names_too() -> None:
    domain = {"streams": {"orders": stream()}, "spf": {"includes": ["spf_c.esp.example"]}}
    fleet = build({"mta1": MTA1}, {"shop.example": domain})
    assert fleet.domain("shop.example").spf.includes == ("spf_c.esp.example",)


HASH = (
    "$6$salt$wZU8LXJfJJqoagopbB7RuK6JEotEMZ0CQDy0phpPAuLMYQFcmf6L6BdAbs/Q7w7o1qsZ9pFqFVY4yuUSWgaYt1"
)
"""Of `openssl passwd -6`."""


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (HASH, True),
        (HASH.replace("$salt$", "$rounds=5000$salt$"), True),
        (f"$5$salt${'a' * 43}", True),
        (f"$2b$12${'a' * 53}", True),
        (f"$y$j9T${'a' * 22}${'b' * 43}", True),
        # What a shell leaves of it in double quotes.
        (HASH[2:], False),
        (HASH.removeprefix("$6$salt"), False),
        (HASH[:-1], False),
        (f"{HASH}a", False),
        ("$6$salt$hash", False),
        ("{SHA512-CRYPT}" + HASH, False),
        # Methods that are weak, or that nobody knows.
        (f"$1$salt${'a' * 22}", False),
        (f"$9$salt${'a' * 86}", False),
        (f"$6$sa lt${'a' * 86}", False),
    ],
)
def test_what_is_a_hash(monkeypatch: pytest.MonkeyPatch, text: str, good: bool) -> None:
    fleet = build(
        {"mta1": MTA1}, {"shop.example": {"streams": {"orders": stream(logins=["shop"])}}}
    )
    monkeypatch.delenv("MAILFLEET_SECRETS", raising=False)
    monkeypatch.setenv("MAILFLEET_LOGIN_SHOP", text)
    if good:
        check_logins(fleet)
        return
    with pytest.raises(MailfleetError, match="MAILFLEET_LOGIN_SHOP is no whole crypt") as error:
        check_logins(fleet)
    assert text not in str(error.value)


def test_all_missing_secrets_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    domains = {"shop.example": {"streams": {
        "orders": stream(logins=["shop", "erp", "old"]), "news": stream(logins=["letter"])}}}  # fmt: skip
    hosts = {"mta1": {"streams": {"orders": ["203.0.113.10"], "news": ["203.0.113.11"]}}}
    fleet = build(hosts, domains)
    monkeypatch.delenv("MAILFLEET_SECRETS", raising=False)
    for name in ("SHOP", "LETTER"):
        monkeypatch.delenv(f"MAILFLEET_LOGIN_{name}", raising=False)
    monkeypatch.setenv("MAILFLEET_LOGIN_ERP", HASH)
    monkeypatch.setenv("MAILFLEET_LOGIN_OLD", "secret")
    with pytest.raises(MailfleetError) as error:
        login_hashes(fleet, fleet.hosts[0])
    assert str(error.value).splitlines() == [
        "the secret MAILFLEET_LOGIN_SHOP is not set: password hash of the orders login shop",
        "MAILFLEET_LOGIN_OLD is no whole crypt(3) hash of SHA-512, SHA-256, yescrypt or bcrypt, such as "
        "$6$salt$ and 86 characters (a shell reads $6 as a variable unless the hash stands in single quotes)",
        "the secret MAILFLEET_LOGIN_LETTER is not set: password hash of the news login letter",
        "  hint: make a hash with `openssl passwd -6`, then export MAILFLEET_LOGIN_...=..., or set "
        "MAILFLEET_SECRETS to a sops file that holds it",
    ]
    for name in ("SHOP", "OLD", "LETTER"):
        monkeypatch.setenv(f"MAILFLEET_LOGIN_{name}", HASH)
    assert login_hashes(fleet, fleet.hosts[0]).keys() == {"shop", "erp", "old", "letter"}


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "noble"])
def test_the_longest_names_fit_into_sockets_units_and_files(suite: str) -> None:
    label, login = "s" * 20, "l" * 31
    domain = f"{'d' * 33}.example"
    host = f"{'h' * 22}.{domain}"
    assert len(host) == 64
    table = {
        "mta_sts": {"mode": "testing"},
        "streams": {label: {"logins": [login], "scan": "full"}},
    }
    data = {"selector": "a" * 32, "streams": {label: ["203.0.113.10"]}}
    fleet = fleet_of({host: data}, {domain: table}, regions={host: "e" * 20})
    target = Target(fleet, fleet.hosts[0], suite, {login: "$6$salt$hash"})
    files = desired(target).files
    sockets = {path for file in files for path in _SOCKET.findall(file.content)}
    assert sockets
    assert [path for path in sockets if len(path) > LONGEST_SOCKET] == []
    parts = [part for file in files for part in file.path.split("/")]
    assert max(map(len, parts)) <= 255
