"""Ports that a container engine takes, from the rules that iptables-save prints."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.facts.preconditions import Preconditions
from mailfleet.host.published import is_engines, published
from mailfleet.host.state import HostState, Listener
from mailfleet.operations import obstacles
from mailfleet.verify import firewall

pytestmark = pytest.mark.unit

OWN = tuple(map(ip_address, ("192.0.2.10", "2001:db8::10")))
STATE = HostState(
    listeners=(
        Listener("inbound", "tcp", 25, OWN),
        Listener("certificate challenges", "tcp", 80),
        Listener("resolver", "udp", 53, (ip_address("127.0.0.1"),)),
    )
)
# Of Docker 28 and netavark 1.14, which Podman uses.
PUBLISHED = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport {} -j DNAT --to-destination 172.17.0.2:80"
OF_ADDRESS = "-A DOCKER -d {} ! -i docker0 -p tcp -m tcp --dport 25 -j DNAT --to-destination {}"
PODMAN = "-A NETAVARK-DN-1D87 -p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 10.88.0.2:8000-8010"
ENGINES = (
    "nat: -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "nat: -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "nat: -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
    "raw: -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",
    ":DOCKER-ISOLATION-STAGE-1 - [0:0]",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -i br-0f21c93a7f31 ! -o br-0f21c93a7f31 -j ACCEPT",
    "-A FORWARD -m comment --comment netavark -j NETAVARK_FORWARD",
    "nat: -A CNI-HOSTPORT-DNAT -p tcp -m tcp --dport 8080 -j CNI-DN-5c9d",
)
OTHERS = (
    "-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT",
    "-A mailfleet-egress -p tcp -j REJECT",
    "nat: -A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE",
)


def refusals(*rules: str, sockets: tuple[str, ...] = ()) -> list[str]:
    state = Preconditions().process([*(f"nat|{rule}" for rule in rules), *sockets])
    return obstacles.container_problems(STATE, OWN, state)


def test_rules_of_engines_are_told_from_others() -> None:
    assert [rule for rule in (*ENGINES, *OTHERS) if is_engines(rule)] == list(ENGINES)


def test_a_published_port_is_read() -> None:
    (one,) = published([PUBLISHED.format(8080)])
    assert one.text == "tcp port 8080 of every IPv4 address leads to a container at 172.17.0.2:80"
    (one,) = published([PODMAN])
    assert [one.covers("tcp", port) for port in (7999, 8000, 8010, 8011)] == [
        False,
        True,
        True,
        False,
    ]
    assert not one.covers("udp", 8000)
    (one,) = published([OF_ADDRESS.format("2001:db8::10/128", "[fd00::2]:25")])
    assert (one.address, one.version) == (OWN[1], 6)


@pytest.mark.parametrize(
    "rule",
    [
        OF_ADDRESS.format("127.0.0.1/32", "172.17.0.2:25"),
        OF_ADDRESS.format("::1/128", "[fd00::2]:25"),
        "-A mailfleet-above -d 192.0.2.10/32 -p tcp -m tcp --dport 465 -j DNAT --to-destination :14001",
        "-A DOCKER -i docker0 -j RETURN",
        "-A PREROUTING -p tcp -j REDIRECT",
    ],
)
def test_what_nobody_else_reaches_is_not_published(rule: str) -> None:
    assert list(published([rule])) == []


def test_a_deploy_names_a_port_of_ours_that_a_container_gets() -> None:
    (said,) = refusals(PUBLISHED.format(25), PUBLISHED.format(8080))
    assert said.startswith(
        "tcp port 25 of every IPv4 address leads to a container at 172.17.0.2:80, and the host's own "
        "service (inbound) gets nothing that arrives there: see 'docker ps'"
    )
    assert len(refusals(OF_ADDRESS.format("192.0.2.10/32", "172.17.0.2:25"))) == 1
    assert refusals(OF_ADDRESS.format("192.0.2.11/32", "172.17.0.2:25")) == []
    # The resolver is for the host alone.
    assert refusals(PUBLISHED.format(53).replace("tcp", "udp")) == []


def test_a_port_that_docker_proxy_holds_is_named_once() -> None:
    held = (
        'socket|tcp LISTEN 0 5 0.0.0.0:25 0.0.0.0:* users:(("docker-proxy",pid=7,fd=3))',
        "process|7|/usr/bin/docker-proxy||docker.service|docker-proxy",
    )
    assert refusals(PUBLISHED.format(25), sockets=held) == []
    assert len(refusals(PUBLISHED.format(25), sockets=(held[0].replace("pid=7", "pid=8"),))) == 1


def test_verify_says_what_is_published_and_counts_the_rest() -> None:
    plain = "*filter\n:INPUT DROP [0:0]\n-A INPUT -j ufw-before-input\nCOMMIT\n"
    docker = f"*nat\n:DOCKER - [0:0]\n{PUBLISHED.format(8080)}\nCOMMIT\n" + plain.replace(
        "COMMIT", "-A FORWARD -j DOCKER-USER\nCOMMIT"
    )
    port, rest = firewall.kernel_problems(plain, docker)
    assert port.startswith(
        "tcp port 8080 of every IPv4 address leads to a container at 172.17.0.2:80"
    )
    assert rest.startswith("a container engine has 2 rules of its own in the kernel")
    assert firewall.kernel_problems(plain, plain) == []


def test_tables_that_iptables_save_does_not_show() -> None:
    known = "table ip filter\ntable ip6 nat\ntable inet f2b-table\n"
    assert firewall.table_problems(known) == []
    (said,) = firewall.table_problems(f"{known}table inet netavark\n")
    assert "not planned: inet netavark; 'nft list table inet netavark'" in said
