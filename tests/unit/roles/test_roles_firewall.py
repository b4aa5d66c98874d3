"""The firewall opens what the host's services listen on, and nothing else."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import pytest

from mailfleet.host.state import HostState, Listener
from mailfleet.host.target import Target
from roles import desired
from roles.firewall import rules
from tests.builders import fleet_around

pytestmark = pytest.mark.unit

NAME = "mta1.eu.shop.example"
DOMAIN = {
    "streams": {
        "orders": {"logins": ["shop"]},
        "news": {"logins": ["letter"], "from_domain": "news.shop.example",
                 "tls_port": 2465, "starttls_port": 2587},
    }
}  # fmt: skip
BOTH = {
    "addresses": ["192.0.2.10", "2001:db8::10"],
    "streams": {"orders": ["192.0.2.11", "2001:db8::11"], "news": "orders"},
}
IPV4 = {"ssh_port": 2222, "streams": {"orders": ["192.0.2.11"], "news": ["192.0.2.12"]}}
IPV6 = {"streams": {"orders": ["2001:db8::11"], "news": "orders"}}


def state_of(data: dict[str, Any], **options: Any) -> HostState:
    fleet = fleet_around(NAME, data, DOMAIN, **options)
    return desired(Target(fleet, fleet.host(NAME), "trixie", {"shop": "x", "letter": "y"}))


def text(state: HostState, version: int) -> str:
    name = "user.rules" if version == 4 else "user6.rules"
    (file,) = (file for file in state.files if file.path == f"/etc/ufw/{name}")
    return file.content


def openings(state: HostState, version: int) -> list[str]:
    """`address port` of each accepting rule; `any` where it names no address."""
    chain = "ufw" if version == 4 else "ufw6"
    row = rf"^-A {chain}-user-input -p tcp(?: -d (\S+))? --dport (\d+) -j ACCEPT$"
    found = re.findall(row, text(state, version), re.M)
    return [f"{address or 'any'} {port}" for address, port in found]


@pytest.mark.parametrize(
    ("data", "ipv4", "ipv6"),
    [
        (
            BOTH,
            ["any 22", "192.0.2.10 25", "192.0.2.11 465", "192.0.2.11 587", "192.0.2.11 2465",
             "192.0.2.11 2587", "any 80"],
            ["any 22", "2001:db8::10 25", "2001:db8::11 465", "2001:db8::11 587",
             "2001:db8::11 2465", "2001:db8::11 2587", "any 80"],
        ),
        (
            IPV4,
            ["any 2222", "192.0.2.11 25", "192.0.2.11 465", "192.0.2.11 587", "192.0.2.12 2465",
             "192.0.2.12 2587", "any 80"],
            ["any 2222", "any 80"],
        ),
        (
            {**IPV4, "inbound": False},
            ["any 2222", "192.0.2.11 465", "192.0.2.11 587", "192.0.2.12 2465", "192.0.2.12 2587",
             "any 80"],
            ["any 2222", "any 80"],
        ),
        (
            IPV6,
            ["any 22", "any 80"],
            ["any 22", "2001:db8::11 25", "2001:db8::11 465", "2001:db8::11 587",
             "2001:db8::11 2465", "2001:db8::11 2587", "any 80"],
        ),
    ],
    ids=["both", "ipv4", "silent", "ipv6"],
)  # fmt: skip
def test_every_public_listener_and_nothing_else(
    data: dict[str, Any], ipv4: list[str], ipv6: list[str]
) -> None:
    state = state_of(data)
    assert openings(state, 4) == ipv4
    assert openings(state, 6) == ipv6
    for version in (4, 6):
        rows = text(state, version).splitlines()
        accepting = [row for row in rows if "ACCEPT" in row]
        assert len(accepting) == len(openings(state, version)) + 1
        assert accepting[-1] == f"-A ufw{'6' * (version == 6)}-user-limit-accept -j ACCEPT"


@pytest.mark.parametrize("version", [4, 6])
def test_each_rule_has_the_line_that_ufw_shows(version: int) -> None:
    state = state_of(BOTH)
    anywhere = "0.0.0.0/0" if version == 4 else "::/0"
    tuples = re.findall(
        rf"^### tuple ### allow tcp (\d+) (\S+) any {anywhere} in comment=([0-9a-f]+)$",
        text(state, version),
        re.M,
    )
    shown = [f"{'any' if where == anywhere else where} {port}" for port, where, _ in tuples]
    assert shown == openings(state, version)
    comments = [bytes.fromhex(comment).decode() for _, _, comment in tuples]
    assert comments[:3] == [
        "mailfleet: SSH",
        "mailfleet: inbound",
        "mailfleet: orders submission (TLS)",
    ]


def test_the_way_in_and_the_policy() -> None:
    state = state_of(BOTH)
    default = next(f.content for f in state.files if f.path == "/etc/default/ufw")
    assert 'DEFAULT_INPUT_POLICY="DROP"' in default
    assert "\nIPV6=yes\n" in f"\n{default}"
    for file in state.files:
        if "ufw" in file.path:
            assert file.affects == ("firewall",)
    names = [action.name for action in state.actions]
    assert names[0] == "firewall"


def ingress(state: HostState, version: int) -> dict[str, list[str]]:
    """The rules of each of the two tables."""
    path = f"/etc/ufw/mailfleet-ingress{'' if version == 4 else '6'}.rules"
    (file,) = (file for file in state.files if file.path == path)
    assert file.affects == ("firewall",)
    tables = re.findall(r"^\*(\w+)\n(.*?)^COMMIT$", file.content, re.M | re.S)
    return {name: re.findall(r"^-A (.+)$", text, re.M) for name, text in tables}


@pytest.mark.parametrize("version", [4, 6])
def test_a_client_has_so_many_connections(version: int) -> None:
    """By its address, or by the network that a customer gets with IPv6."""
    found = ingress(state_of(BOTH), version)
    bits, inbound = (32, 10) if version == 4 else (64, 50)
    data: dict[str, Any] = BOTH
    host = data["addresses"][version == 6]
    sending = data["streams"]["orders"][version == 6]
    waiting = {465: 14001, 587: 14002, 2465: 14003, 2587: 14004}
    # Of ten that a stream allows, as many as a host of 4 GB with a scanner has processes for.
    to = f"[{sending}]" if version == 6 else sending
    count = "connlimit --connlimit-above {} --connlimit-mask {} --connlimit-saddr"
    rate = (
        "hashlimit --hashlimit-above {0}/min --hashlimit-burst {0} --hashlimit-mode srcip "
        "--hashlimit-srcmask {1} --hashlimit-name mailfleet-{2}"
    )
    # The fleet's other hosts and this one.
    own = [rule for rule in found["nat"] if rule.endswith("RETURN")]
    assert own == [rule for rule in found["filter"] if rule.endswith("RETURN")]
    assert f"mailfleet-above -s {host}/{32 if version == 4 else 128} -j RETURN" in own
    assert found["nat"] == [
        *(
            f"mailfleet-ingress -d {sending} -p tcp -m tcp --dport {port} -m "
            f"{count.format(4, bits)} -j mailfleet-above"
            for port in waiting
        ),
        *own,
        *(
            f"mailfleet-above -d {sending} -p tcp -m tcp --dport {port} -j DNAT "
            f"--to-destination {to}:{other}"
            for port, other in waiting.items()
        ),
    ]
    assert found["filter"] == [
        f"mailfleet-ingress -d {host} -p tcp -m tcp --dport 25 -m {count.format(inbound, bits)} "
        "-j mailfleet-above",
        f"mailfleet-ingress -d {host} -p tcp -m multiport --dports 25 -m "
        f"{rate.format(600, bits, 1)} -j mailfleet-above",
        *(
            f"mailfleet-ingress -d {sending} -p tcp -m multiport --dports {port},{other} -m "
            f"{rate.format(1200, bits, number)} -j mailfleet-above"
            for number, (port, other) in enumerate(waiting.items(), start=2)
        ),
        *own,
        "mailfleet-above -j DROP",
        *(
            f"mailfleet-ingress -d {sending} -p tcp -m tcp --dport {other} -m conntrack "
            "--ctstate DNAT -j ACCEPT"
            for other in waiting.values()
        ),
    ]


def test_networks_that_are_never_banned_wait_for_nothing() -> None:
    state = state_of(BOTH, never_banned=["198.51.100.0/24", "2001:db8:17::/48"])
    for version, network in ((4, "198.51.100.0/24"), (6, "2001:db8:17::/48")):
        for rules_of_table in ingress(state, version).values():
            above = [rule for rule in rules_of_table if rule.startswith("mailfleet-above ")]
            assert f"mailfleet-above -s {network} -j RETURN" in above[:-1]
            assert "RETURN" not in above[-1]


def test_a_waiting_port_is_one_that_nothing_else_has() -> None:
    opened = {"port": 14002, "protocol": "tcp"}
    state = state_of({**BOTH, "ssh_port": 14001, "open_ports": [opened]})
    waiting = [listener.port for listener in state.listeners if listener.redirected]
    assert waiting == [14003, 14004, 14005, 14006]


def test_loopback_sockets_are_not_opened() -> None:
    loopback = (ip_address("127.0.0.1"), ip_address("::1"))
    listeners = (
        Listener("resolver", "udp", 53, loopback),
        Listener("metrics", "tcp", 9100, (ip_address("192.0.2.1"), ip_address("127.0.0.1"))),
        Listener("SSH", "tcp", 22),
        Listener("SSH", "tcp", 22),
    )
    found = [(rule.port, rule.address and str(rule.address)) for rule in rules(listeners, 4)]
    assert found == [(9100, "192.0.2.1"), (9100, "127.0.0.1"), (22, None)]
    assert [rule.port for rule in rules(listeners, 6)] == [22]
