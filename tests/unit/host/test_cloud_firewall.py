"""Hetzner's cloud firewall opens what ufw opens."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import ip_address
from typing import Any

import pytest
from hcloud.firewalls.domain import FirewallRule

from mailfleet.host.cloud_firewall import CloudRule, cloud_rules
from mailfleet.host.state import Listener
from roles import desired
from roles.firewall import rules
from tests.fakes.specification import Exchange, violations
from tests.unit.roles.test_roles import HOSTS, target_of

pytestmark = pytest.mark.unit


def payload(found: tuple[CloudRule, ...]) -> list[dict[str, Any]]:
    """As the SDK sends them."""
    fields = [dataclasses.asdict(rule) for rule in found]
    return [
        FirewallRule(**{**rule, "source_ips": list(rule["source_ips"])}).to_payload()
        for rule in fields
    ]


@pytest.mark.parametrize("kind", HOSTS)
def test_the_same_openings_as_ufws(kind: str) -> None:
    listeners = desired(target_of(kind)).listeners
    cloud = {
        (rule["protocol"], int(rule["port"]), network)
        for rule in payload(cloud_rules(listeners))
        if rule["protocol"] != "icmp"
        for network in rule["source_ips"]
    }
    assert cloud == {
        (rule.protocol, rule.port, network)
        for version, network in ((4, "0.0.0.0/0"), (6, "::/0"))
        for rule in rules(listeners, version)
    }
    assert ("tcp", HOSTS[kind].get("ssh_port", 22), "0.0.0.0/0") in cloud


def test_loopback_is_not_opened_and_a_port_stands_once() -> None:
    both = (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    found = cloud_rules(
        (
            Listener("resolver", "udp", 53, (ip_address("127.0.0.1"),)),
            Listener("a", "tcp", 465, both[:1]),
            Listener("b", "tcp", 465, both[1:]),
        )
    )
    assert found[0] == CloudRule("tcp", ("0.0.0.0/0",), "mailfleet: a, b", "465")
    assert [rule.protocol for rule in found] == ["tcp", "icmp"]


@pytest.mark.parametrize("kind", HOSTS)
def test_the_provider_takes_them(kind: str) -> None:
    found = payload(cloud_rules(desired(target_of(kind)).listeners))
    assert len(found) <= 50
    assert all("port" not in rule for rule in found if rule["protocol"] == "icmp")
    exchange = Exchange(
        "POST",
        "https://api.hetzner.cloud/v1/firewalls",
        {"Authorization": "Bearer x", "Content-Type": "application/json"},
        json.dumps({"name": "mailfleet", "rules": found}).encode(),
        201,
        json.dumps({"firewall": {"id": 1, "name": "mailfleet", "rules": [], "applied_to": [],
                    "created": "2026-01-01T00:00:00Z"}, "actions": []}).encode(),
    )  # fmt: skip
    # Only the request is ours; it is what must be right.
    assert [text for text in violations("hetzner", exchange) if "equest" in text] == []
