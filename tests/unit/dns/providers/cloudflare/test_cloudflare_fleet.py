"""A whole fleet published at Cloudflare: how many requests that takes, and that it settles."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.dns.publish.apply import publish
from mailfleet.dns.publish.prepare import prepare
from mailfleet.dns.records.dkim import DkimPublicKey, HostDkimKeys
from mailfleet.model import Fleet, HostEntry, build_fleet
from tests.fakes.cloudflare import Account, FakeCloudflare

pytestmark = pytest.mark.unit

HOST = "mta1.eu.d0.example"
ZONES = 5
KEYS = {
    HOST: HostDkimKeys(
        tuple(DkimPublicKey(f"d{n}.example", "mta1-eu-1", "QQ==") for n in range(ZONES)), True
    )
}


def fleet(address: str = "203.0.113.1") -> Fleet:
    """Domains d0.example to d4.example, each a zone with one stream."""
    tables: dict[str, dict[str, Any]] = {
        f"d{n}.example": {
            "dns": {"provider": "cloudflare"},
            "streams": {
                f"s{n}": {"logins": [f"app{n}"], "tls_port": 2000 + n, "starttls_port": 3000 + n}
            },
        }
        for n in range(ZONES)
    }
    streams: dict[str, Any] = {f"s{n}": "s0" for n in range(ZONES)}
    streams["s0"] = [address]
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files), "reverse_dns": {"provider": "cloudflare"}}
    return build_fleet(
        "inventories/prod", [HostEntry("eu", HOST, {"streams": streams})], declared, files, []
    )


def test_a_fleet_settles_in_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    fake = FakeCloudflare(account)
    monkeypatch.setenv("MAILFLEET_CLOUDFLARE", account.token)
    monkeypatch.setenv("MAILFLEET_CLOUDFLARE_ENDPOINT", fake.endpoint)
    try:
        for name in ("113.0.203.in-addr.arpa", *(f"d{n}.example" for n in range(ZONES))):
            account.zone(name)
        publish(prepare(fleet(), KEYS))
        # One batch for each zone, the reverse zone among them.
        assert fake.count("POST") == ZONES + 1
        fake.requests.clear()
        again = prepare(fleet(), KEYS)
        assert again.is_empty
        assert not again.problems
        # One list of zones, and one of records for each of them.
        assert len(fake.requests) == 1 + ZONES + 1
        fake.requests.clear()
        publish(prepare(fleet("203.0.113.2"), KEYS, force=True))
        assert fake.count("POST") == ZONES + 1
        assert prepare(fleet("203.0.113.2"), KEYS).is_empty
    finally:
        fake.close()
    assert fake.violations == []
