"""An operator's own ports: in the model, in both firewalls, in verify; and ufw rules that would go."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mailfleet.host.cloud_firewall import CloudRule, cloud_rules
from mailfleet.host.firewall_rules import foreign_rules
from mailfleet.host.state import ConfigFile, HostState, Listener
from mailfleet.verify import firewall, sockets
from tests.unit.model.test_model_schema import HOST, problems
from tests.unit.roles.test_roles_firewall import BOTH, state_of, text

pytestmark = pytest.mark.unit

MONITORED = {"port": 9100, "sources": ["203.0.113.0/24", "2001:db8:17::9"], "purpose": "node"}
SYSLOG = {"port": 5514, "protocol": "udp"}


def fleet(*ports: object, host: tuple[object, ...] = ()) -> list[str]:
    options: dict[str, Any] = {"domains": ["shop.example"], "open_ports": list(ports)}
    return problems({**HOST, "open_ports": list(host)}, options=options)


def test_ports_of_the_fleet_and_of_a_host_are_taken() -> None:
    assert fleet(MONITORED, SYSLOG, host=(SYSLOG, {"port": 9101})) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (MONITORED, "tcp port 9100 is listed twice; remove one"),
        ({**MONITORED, "purpose": "other"}, "tcp port 9100 is listed twice; remove one"),
        ({"port": 9100}, "tcp port 9100 is open to everybody already; remove one"),
        ({**MONITORED, "sources": ["198.18.0.1"]}, ""),
        ({"port": 9100, "protocol": "udp"}, ""),
    ],
)
def test_a_port_is_listed_once(other: dict[str, Any], said: str) -> None:
    for found in (fleet(MONITORED, other), fleet(host=(MONITORED, other))):
        assert len(found) == bool(said)
        assert all(said in text for text in found)


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ({"port": 0}, "port: 0 is too small"),
        ({"port": 9100, "protocol": "icmp"}, "protocol: 'icmp'"),
        ({"port": 9100, "source": []}, "did you mean 'sources'?"),
        ({"port": 9100, "sources": ["office"]}, "'office' is not a network"),
        ({"port": 9100, "sources": ["0.0.0.0/0"]}, "is a large part of the Internet"),
        ({"port": 9100, "purpose": "a'; drop\n"}, "does not fit; write letters"),
        ({"port": 25}, "port 25 serves bounces and reports"),
        ({"port": 22}, "port 22 serves SSH"),
        ({"port": 587}, "port 587 serves stream orders"),
        (9100, "9100"),
    ],
)
def test_what_is_no_port_of_his_own_is_refused(port: object, said: str) -> None:
    (text,) = fleet(port)
    assert "open_ports" in text
    assert said in text
    assert len(fleet(host=(port,))) == 1


def listeners() -> tuple[Listener, ...]:
    return (
        Listener("inbound", "tcp", 25, (ip_address("192.0.2.1"),)),
        Listener(
            "node", "tcp", 9100, (), "operator",
            (ip_network("203.0.113.0/24"), ip_network("2001:db8:17::9")),
        ),
        Listener("syslog", "udp", 5514, (), "operator"),
    )  # fmt: skip


def rules_file(version: int) -> str:
    state = state_of({**BOTH, "open_ports": [MONITORED]})
    assert [one.purpose for one in state.listeners if one.served_by == "operator"] == ["node"]
    return text(state, version)


def test_ufw_gets_a_rule_for_each_source() -> None:
    comment = b"mailfleet: node".hex()
    assert (
        f"### tuple ### allow tcp 9100 0.0.0.0/0 any 203.0.113.0/24 in comment={comment}\n"
        "-A ufw-user-input -p tcp --dport 9100 -s 203.0.113.0/24 -j ACCEPT\n" in rules_file(4)
    )
    assert (
        f"### tuple ### allow tcp 9100 ::/0 any 2001:db8:17::9 in comment={comment}\n"
        "-A ufw6-user-input -p tcp --dport 9100 -s 2001:db8:17::9 -j ACCEPT\n" in rules_file(6)
    )


def test_the_cloud_firewall_opens_the_same() -> None:
    _, node, syslog, _ = cloud_rules(listeners())
    assert node == CloudRule(
        "tcp", ("2001:db8:17::9/128", "203.0.113.0/24"), "mailfleet: node", "9100"
    )
    assert syslog.source_ips == ("0.0.0.0/0", "::/0")


def test_verify_expects_the_rule_and_leaves_the_service_alone() -> None:
    assert firewall.openings(listeners(), 4)[1:] == [
        ("tcp", 9100, None, ip_network("203.0.113.0/24")),
        ("udp", 5514, None, None),
    ]
    shown = firewall.status_problems(listeners(), STATUS)
    assert shown == []
    row = 'tcp LISTEN 0 5 192.0.2.1:25 0.0.0.0:* users:(("master",pid=1,fd=3))'
    own = (ip_address("192.0.2.1"),)
    assert sockets.problems(listeners(), own, row) == []
    served = f"{row}\ntcp LISTEN 0 5 127.0.0.1:9100 0.0.0.0:*\ntcp LISTEN 0 5 *:9101 *:*"
    assert sockets.problems(listeners(), own, served) == [
        "something listens on tcp any IPv4 port 9101, which is not planned",
        "something listens on tcp any IPv6 port 9101, which is not planned",
    ]


# As ufw 0.36 writes it: a rule with an address of IPv6 needs no "(v6)".
STATUS = """\
Status: active
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
192.0.2.1 25/tcp           ALLOW IN    Anywhere                   # mailfleet: inbound
9100/tcp                   ALLOW IN    203.0.113.0/24             # mailfleet: node
5514/udp                   ALLOW IN    Anywhere                   # mailfleet: syslog
9100/tcp                   ALLOW IN    2001:db8:17::9             # mailfleet: node
5514/udp (v6)              ALLOW IN    Anywhere (v6)              # mailfleet: syslog
"""
WANTED = HostState(
    files=(
        ConfigFile(
            "/etc/ufw/user.rules",
            "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=6d\n",
        ),
    )
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "allow tcp 9100 0.0.0.0/0 any 203.0.113.0/24 in",
            "'allow in tcp port 9100 from 203.0.113.0/24'; to keep it, add "
            'open_ports=[{"port": 9100, "sources": ["203.0.113.0/24"]}] to the inventory',
        ),
        (
            "allow udp 51820 ::/0 any ::/0 in comment=7767",
            "'allow in udp port 51820 from anywhere over IPv6'; to keep it, add "
            'open_ports=[{"port": 51820, "protocol": "udp"}]',
        ),
        (
            "deny any any 0.0.0.0/0 any 198.51.100.7 in",
            "'deny in any port from 198.51.100.7'; the inventory has no key for a rule like this",
        ),
        (
            "allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in",
            "'allow in tcp port 80,443 from anywhere (Nginx Full)'; the inventory has no key",
        ),
        ("limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", "'limit in tcp port 22 from anywhere'"),
        ("route:allow tcp", "the ufw rule 'route:allow tcp', which the inventory has no key for"),
    ],
)
def test_a_rule_that_goes_is_named(line: str, said: str) -> None:
    (text,) = foreign_rules(WANTED, [line])
    assert text.startswith("this deploy removes the ufw rule")
    assert said in text


@pytest.mark.parametrize(
    "line",
    [
        "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
        "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in",
        f"allow tcp 2465 0.0.0.0/0 any 0.0.0.0/0 in comment={b'mailfleet: news'.hex()}",
    ],
)
def test_what_stays_and_what_was_ours_is_not(line: str) -> None:
    assert foreign_rules(WANTED, [line]) == []
