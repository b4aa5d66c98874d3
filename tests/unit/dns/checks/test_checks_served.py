"""What authoritative servers answer: the records as they are, or Cloudflare's addresses before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from dns.exception import Timeout

from mailfleet.dns.checks import served
from mailfleet.dns.checks.finding import Finding, Scope
from mailfleet.dns.query.authoritative import Authority
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.desired import Desired, records
from mailfleet.dns.rrset import rrset
from mailfleet.model import Fleet, HostEntry, build_fleet

pytestmark = pytest.mark.unit

MTA_STS = "mta-sts.shop.example"
SERVER = Authority("ns.shop.example", "198.51.100.53")
Answers = Mapping[tuple[str, str], tuple[str, ...]]


def fleet(provider: str = "cloudflare", *proxied: str) -> Fleet:
    shop: dict[str, Any] = {
        "dns": {"provider": provider, "proxied": list(proxied)},
        "streams": {"orders": {"logins": ["shop"]}},
        "mta_sts": {"mode": "testing"},
    }
    host = {
        "addresses": ["203.0.113.1", "2001:db8::1"],
        "streams": {"orders": ["203.0.113.2", "2001:db8::2"]},
    }
    return build_fleet(
        "inventories/prod",
        [HostEntry("eu", "mta1.eu.shop.example", host)],
        {"domains": ["shop.example"]},
        {"shop.example": ("dns/shop.example.toml", shop)},
        [],
    )


def as_published(desired: Desired) -> Answers:
    return {record.key: record.values for zone in desired.values() for record in zone}


def findings(
    monkeypatch: pytest.MonkeyPatch,
    checked: Fleet,
    answers: Answers,
    desired: Desired | None = None,
) -> list[Finding]:
    monkeypatch.setattr(served, "ask", lambda _, name, rtype, __: [*answers.get((name, rtype), ())])
    scope = Scope(checked, desired or records(checked), {}, [Resolver(["192.0.2.53"])])
    tasks = served.tasks(scope, {"shop.example": [SERVER]})
    return sorted({finding for task in tasks for finding in task()})


def behind_proxy(*addresses: str) -> Answers:
    """What is published, but for the MTA-STS name, at which these addresses are answered."""
    found = {k: v for k, v in as_published(records(fleet())).items() if k[0] != MTA_STS}
    for address in addresses:
        key = MTA_STS, "AAAA" if ":" in address else "A"
        found[key] = (*found.get(key, ()), address)
    return found


def test_what_is_published_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(monkeypatch, fleet(), as_published(records(fleet()))) == []


def test_what_is_missing_and_what_is_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = "smtp-orders.shop.example"
    answers = {**behind_proxy("203.0.113.1"), (endpoint, "A"): ("203.0.113.2", "203.0.113.99")}
    assert [(f.subject, f.problem) for f in findings(monkeypatch, fleet(), answers)] == [
        (f"{MTA_STS} AAAA", f"{SERVER} lacks 2001:db8::1"),
        (f"{endpoint} A", f"{SERVER} has 203.0.113.99 besides"),
    ]


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> list[str]:
        raise Timeout

    monkeypatch.setattr(served, "ask", silent)
    checked = fleet("cloudflare", MTA_STS)
    tasks = served.tasks(
        Scope(checked, records(checked), {}, [Resolver(["192.0.2.53"])]), {"shop.example": [SERVER]}
    )
    found = [finding for task in tasks for finding in task()]
    assert {f.subject for f in found} >= {MTA_STS, "shop.example MX"}
    assert all(f"{SERVER} does not answer" in f.problem for f in found)


@pytest.mark.parametrize(
    "addresses",
    [
        ("104.16.1.1", "104.16.2.1", "2606:4700::6810:101"),
        # Where IPv6 is switched off for the zone, an AAAA record is not answered at all.
        ("104.16.1.1",),
    ],
)
def test_a_proxied_name_has_the_addresses_of_cloudflare(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    assert findings(monkeypatch, fleet("cloudflare", MTA_STS), behind_proxy(*addresses)) == []
    # Where the domain file does not ask for the proxy, the same answer is wrong.
    wrong = findings(monkeypatch, fleet(), behind_proxy(*addresses))
    assert {f.subject for f in wrong} == {f"{MTA_STS} A", f"{MTA_STS} AAAA"}


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [
        (("203.0.113.1", "2001:db8::1"), "2001:db8::1, 203.0.113.1"),
        (("104.16.1.1", "2001:db8::1"), "2001:db8::1"),
        # Another address of the fleet shows the same: nothing stands before the name.
        (("203.0.113.2",), "203.0.113.2"),
    ],
)
def test_a_proxied_name_that_gives_the_fleets_own_address(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...], shown: str
) -> None:
    checked = fleet("cloudflare", MTA_STS)
    [found] = findings(monkeypatch, checked, behind_proxy(*addresses))
    assert found.subject == MTA_STS
    assert (
        found.problem == f"{SERVER} gives {shown}, so Cloudflare's proxy does not stand before it"
    )
    assert "mailfleet dns push inventories/prod" in found.remedy
    assert "resume the zone at Cloudflare" in found.remedy


def test_a_proxied_name_without_any_address(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = findings(monkeypatch, fleet("cloudflare", MTA_STS), behind_proxy())
    assert found.problem == f"{SERVER} has no address"
    assert found.remedy == "publish it: mailfleet dns push inventories/prod"


def test_a_proxied_alias_is_answered_by_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, name = fleet("cloudflare", "www.shop.example"), "www.shop.example"
    alias = rrset(name, "CNAME", 300, "pages.shop.example.")
    desired = {"shop.example": (alias,)}
    assert findings(monkeypatch, checked, {(name, "A"): ("104.16.1.1",)}, desired) == []
    shown: Answers = {alias.key: alias.values, (name, "A"): ("104.16.1.1",)}
    [found] = findings(monkeypatch, checked, shown, desired)
    assert "gives pages.shop.example., so" in found.problem


def test_only_addresses_are_proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = fleet("cloudflare", "shop.example")
    answers = {k: v for k, v in as_published(records(checked)).items() if k[1] != "MX"}
    subjects = {f.subject for f in findings(monkeypatch, checked, answers)}
    wanted = records(checked)["shop.example"]
    assert subjects == {f"{record.name} MX" for record in wanted if record.type == "MX"}


def test_any_domain_file_at_cloudflare_may_name_the_proxied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As the driver has it: several files may share a zone.
    checked = fleet()
    dns = fleet("cloudflare", MTA_STS).domains[0].dns
    other = replace(checked.domains[0], name="office.example", zone="office.example", dns=dns)
    both = replace(checked, domains=(*checked.domains, other))
    assert findings(monkeypatch, both, behind_proxy("104.16.1.1"), records(checked)) == []
