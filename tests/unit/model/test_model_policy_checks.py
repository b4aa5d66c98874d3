"""What a domain publishes, checked against the machines that have to keep it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.model.test_model_checks import INVENTORY, MTA1, SHOP, build, problems, stream

pytestmark = pytest.mark.unit


def _orders(**keys: Any) -> dict[str, Any]:
    return {"streams": {"orders": stream()}, **keys}


def test_an_enforced_policy_needs_certificates_that_others_trust() -> None:
    domain = {"shop.example": _orders(mta_sts={"mode": "enforce"})}
    assert problems({"mta1": MTA1}, domain) == [
        f"{SHOP}: mta_sts.mode: enforces certificates that everybody trusts, and those of the staging "
        'authority are not trusted, so no mail would come in; set acme="production" in '
        f'{INVENTORY}, or mode = "testing" until then'
    ]
    # The same authority, as its address.
    url = "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert len(problems({"mta1": MTA1}, domain, acme=url)) == 1
    for acme in ("production", "https://acme.example/directory"):
        build({"mta1": MTA1}, domain, acme=acme)
    build({"mta1": MTA1}, domain, lab="lab")
    build({"mta1": MTA1}, {"shop.example": _orders(mta_sts={"mode": "testing"})})


@pytest.mark.parametrize("name", ["mta1.shop.example", "smtp-orders.shop.example"])
def test_mail_passes_no_proxy(name: str) -> None:
    dns = {"provider": "cloudflare", "proxied": [name, "img.shop.example"]}
    assert problems({"mta1": MTA1}, {"shop.example": _orders(dns=dns)}) == [
        f"{SHOP}: dns.proxied: mail comes in and goes out by {name}; remove it from the list"
    ]


def test_caa_names_who_issues() -> None:
    caa = {"shop.example": _orders(caa={"issuers": ["digicert.com"]})}
    assert problems({"mta1": MTA1}, caa) == [
        f"{SHOP}: caa.issuers: forbids the certificates of the hosts, which letsencrypt.org issues; "
        f"add it, or set acme in {INVENTORY}"
    ]
    build({"mta1": MTA1}, caa, acme="https://ca.example/dir")
    build({"mta1": MTA1}, {"shop.example": _orders(caa={"issuers": ["letsencrypt.org"]})})


def test_an_account_is_one_host_s() -> None:
    account = "https://acme-v02.api.letsencrypt.org/acme/acct/1"
    caa = {"issuers": ["letsencrypt.org"], "account_uri": account}
    domains: dict[str, dict[str, Any]] = {
        "shop.example": {"streams": {"orders": stream()}},
        "other.example": {"streams": {"news": stream(logins=["letter"])}, "caa": caa},
    }
    one = {"streams": {"orders": ["203.0.113.10"], "news": ["203.0.113.11"]}}
    two: dict[str, Any] = {"streams": {"orders": ["203.0.113.20"]}}
    build({"mta1": one, "mta2": two}, domains)
    two["streams"]["news"] = ["203.0.113.21"]
    assert problems({"mta1": one, "mta2": two}, domains) == [
        "dns/other.example.toml: caa.account_uri: names one account, and each of mta1.shop.example, "
        "mta2.shop.example has its own; remove it"
    ]
