"""What a domain publishes, checked against the machines that have to keep it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_model_checks import INVENTORY, MTA1, SHOP, build, problems, stream

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
