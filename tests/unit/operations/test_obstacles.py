"""What stands in the way of a deploy, from what a host answered."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.facts.preconditions import Preconditions, PreconditionState
from mailfleet.facts.programs import Owner, Owners
from mailfleet.host.state import HostState, Listener, Service
from mailfleet.operations import obstacles

pytestmark = pytest.mark.unit

OWN = tuple(map(ip_address, ("192.0.2.10", "2001:db8::10")))
STATE = HostState(
    services=(Service("nginx.service"), Service("unbound.service")),
    listeners=(
        Listener("inbound", "tcp", 25, OWN),
        Listener("certificate challenges", "tcp", 80),
        Listener("resolver", "udp", 53, (ip_address("127.0.0.1"),)),
        Listener("SSH", "tcp", 22, served_by="host"),
    ),
)
EXIM = ("exim4.service", "/usr/sbin/exim4")


def read(*lines: str) -> PreconditionState:
    return Preconditions().process(list(lines))


def problems(*lines: str, owners: obstacles.Owners | None = None) -> list[str]:
    held = obstacles.holders(STATE, read(*lines), OWN)
    return obstacles.port_problems(held, owners or {})


def socket(protocol: str, local: str, *pids: int) -> str:
    users = ",".join(f'("name",pid={pid},fd=3)' for pid in pids)
    return f"socket|{protocol} LISTEN 0 128 {local} 0.0.0.0:* users:({users})"


def test_another_web_server_is_named_with_unit_and_package() -> None:
    said = problems(
        socket("tcp", "*:80", 812, 800),
        "process|800|/usr/sbin/apache2||apache2.service|/usr/sbin/apache2 -k start",
        "process|812|/usr/sbin/apache2||apache2.service|/usr/sbin/apache2 -k start",
        owners={
            ("apache2.service", "/usr/sbin/apache2"): [
                Owner("apache2", frozenset({"httpd"})),
                Owner("apache2-bin", frozenset()),
            ]
        },
    )
    assert said == [
        "tcp port 80 (certificate challenges) is held by apache2 (pid 800, apache2.service, package "
        "apache2); stop it for good with 'systemctl disable --now apache2.service', or remove it with "
        "'apt-get remove apache2'"
    ]


@pytest.mark.parametrize(
    ("protocol", "local", "taken"),
    [
        ("tcp", "0.0.0.0:25", True),
        ("tcp", "[::]:25", True),
        ("tcp", "*:25", True),
        ("tcp", "192.0.2.10:25", True),
        ("tcp", "[2001:db8::10]:25", True),
        ("tcp", "127.0.0.1:25", False),
        ("tcp", "192.0.2.11:25", False),
        # A server on every address cannot share the port with one on a single address.
        ("tcp", "127.0.0.1:80", True),
        ("udp", "0.0.0.0:25", False),
        # systemd's stub resolver.
        ("udp", "127.0.0.53%lo:53", False),
        ("udp", "127.0.0.1%lo:53", True),
        ("udp", "0.0.0.0:53", True),
        ("udp", "[::1]:53", False),
        # The daemon that the host came with.
        ("tcp", "0.0.0.0:22", False),
    ],
)
def test_a_port_is_taken_where_two_sockets_exclude_each_other(
    protocol: str, local: str, taken: bool
) -> None:
    row = "process|7|/usr/bin/other||other.service|other"
    assert bool(problems(socket(protocol, local, 7), row)) is taken


@pytest.mark.parametrize(
    "unit",
    [
        "nginx.service",
        "postfix.service",
        "postfix@-.service",
        "mailfleet-scan.service",
        "postfix@old.service",
    ],
)
def test_services_of_ours_are_not_in_the_way(unit: str) -> None:
    lines = (f"process|7|/usr/bin/x||{unit}|x", "managed|postfix@old.service")
    assert problems(socket("tcp", "0.0.0.0:80", 7), *lines) == []


def test_an_own_host_without_ipv6_needs_no_ipv6_port() -> None:
    found = read(socket("tcp", "[::]:80", 7), "process|7|/usr/bin/x||x.service|x")
    assert obstacles.holders(STATE, found, OWN[:1]) == []
    assert obstacles.holders(STATE, found, OWN)


def test_what_no_service_started_is_named_by_its_command() -> None:
    (said,) = problems(
        socket("tcp", "0.0.0.0:80", 7),
        "process|7|/usr/bin/python3.13||session-3.scope|python3 -m http.server 80",
    )
    assert "python3.13 (pid 7, session-3.scope); no service of the system started it" in said
    assert "(python3 -m http.server 80): stop it with 'kill 7'" in said


def test_a_socket_unit_is_named_instead_of_systemd() -> None:
    (said,) = problems(
        socket("tcp", "*:80", 1),
        "listen|*:80 web.socket web.service",
        "listen|/run/x web2.socket web2.service",
        "process|1|/usr/lib/systemd/systemd||init.scope|/sbin/init",
    )
    assert "'systemctl disable --now web.socket'" in said


def test_a_container_and_the_kernel_have_remedies_of_their_own() -> None:
    row = "process|7|/usr/bin/docker-proxy||docker.service|docker-proxy"
    (said,) = problems(socket("tcp", "0.0.0.0:80", 7), row)
    assert "'docker ps'" in said
    assert "docker.service'" not in said
    (said,) = problems("socket|tcp LISTEN 0 5 0.0.0.0:80 0.0.0.0:*")
    assert "does not tell by which process" in said


def test_inetd_keeps_its_other_lines() -> None:
    row = "process|9|/usr/sbin/inetd||inetd.service|/usr/sbin/inetd"
    (said,) = problems(socket("tcp", "*:25", 9), row)
    assert "take its line out of /etc/inetd.conf" in said
    assert "restart inetd.service" in said


def test_another_mail_server_makes_room() -> None:
    found = read(socket("tcp", "0.0.0.0:25", 7), f"process|7|{EXIM[1]}||{EXIM[0]}|exim4 -bd")
    (held,) = obstacles.holders(STATE, found, OWN)
    package = Owner("exim4-daemon-light", frozenset({"mail-transport-agent"}))
    assert held.key == EXIM
    assert obstacles.is_mail_server(held, {EXIM: [Owner("exim4-base", frozenset()), package]})
    # Built by the operator: nobody knows how to remove it.
    assert not obstacles.is_mail_server(held, {})


def test_a_mail_server_whose_package_is_gone_makes_room() -> None:
    row = f"process|7|{EXIM[1]}|removed|{EXIM[0]}|exim4 -bd"
    assert problems(socket("tcp", "0.0.0.0:25", 7), row) == []
    other = "process|7|/usr/sbin/lighttpd|removed|lighttpd.service|lighttpd"
    assert problems(socket("tcp", "0.0.0.0:80", 7), other)


def test_an_address_that_the_host_has_not_is_named() -> None:
    found = read(
        "address|1: lo    inet 127.0.0.1/8 scope host lo",
        "address|2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0",
        "address|2: eth0    inet6 fe80::1/64 scope link",
    )
    (said,) = obstacles.address_problems(OWN, found)
    assert said == (
        "the inventory says that this host has the address 2001:db8::10, and its interfaces have "
        "192.0.2.10: add the address to an interface, or correct the inventory"
    )
    # A host that could not say its addresses is not blamed.
    assert obstacles.address_problems(OWN, read()) == []


def test_a_service_of_ours_that_serves_something_else_is_named() -> None:
    state = HostState(
        services=(Service("dovecot.service"), Service("nginx.service")),
        listeners=(
            Listener("submission", "tcp", 465, OWN, unit="postfix@orders.service"),
            Listener("certificate challenges", "tcp", 80, unit="nginx.service"),
        ),
    )
    dovecot = "process|7|/usr/sbin/dovecot||dovecot.service|dovecot"
    nginx = "process|8|/usr/sbin/nginx||nginx.service|nginx"
    rows = [socket("tcp", f"*:{port}", 7) for port in (143, 465, 993)]
    rows += [socket("tcp", "*:80", 8), socket("tcp", "127.0.0.1:8080", 8), dovecot, nginx]
    (said,) = obstacles.takeover_problems(state, read(*rows))
    assert said.startswith("dovecot.service runs and serves port 143, 993, which this host's")
    assert "stop it with 'systemctl stop dovecot.service'" in said
    (held,) = obstacles.holders(state, read(*rows), OWN)
    (said,) = obstacles.port_problems([held], {})
    assert "port 465 (submission) is held by dovecot (pid 7, dovecot.service); a deploy" in said
    # After the first deploy it is ours: whatever it serves is for verify to name.
    managed = read(*rows, "managed|dovecot.service")
    assert obstacles.takeover_problems(state, managed) == []
    assert obstacles.holders(state, managed, OWN) == []


def test_debians_own_postfix_makes_room_for_instances() -> None:
    state = HostState(
        services=(Service("postfix@postfix-orders.service"),),
        listeners=(Listener("submission", "tcp", 465, OWN, unit="postfix@postfix-orders.service"),),
    )
    row = "process|7|/usr/lib/postfix/sbin/master||postfix@-.service|master"
    found = read(socket("tcp", "*:465", 7), socket("tcp", "*:25", 7), row)
    assert obstacles.holders(state, found, OWN) == []
    assert obstacles.takeover_problems(state, found) == []


def test_a_masked_unit_is_named() -> None:
    assert obstacles.unit_problems(STATE, read("masked|unbound.service", "masked|x.timer")) == [
        "unbound.service is masked, so nothing can start it, and this host needs it: allow it with "
        "'systemctl unmask unbound.service'"
    ]


def test_an_operators_own_unit_that_cannot_be_masked_is_named() -> None:
    """`systemctl mask` refuses where a file is in the place of its link."""
    state = HostState(masked=("opendkim.service", "certbot.timer"))
    (said,) = obstacles.unit_problems(state, read("local|opendkim.service", "local|backup.timer"))
    assert said.startswith(
        "opendkim.service must not run beside mailfleet's own units, and cannot be"
    )
    assert "'systemctl disable --now opendkim.service', and move that file away" in said
    assert obstacles.unit_problems(state, read("local|backup.timer", "masked|x.timer")) == []


def test_another_firewall_is_named() -> None:
    (said,) = obstacles.firewall_problems(read("rival|firewalld.service"))
    assert said.startswith("firewalld.service is active, and would undo the rules of ufw")
    assert "open_ports" in said
    assert "'systemctl disable --now firewalld.service'" in said
    assert obstacles.firewall_problems(read()) == []


def test_packages_are_read_beside_the_rest() -> None:
    found = read("postfix ii ", "socket|", "orphan|exim4-base.timer", "interrupted")
    assert found.packages.installed == {"postfix"}
    assert found.packages.interrupted
    assert found.orphans == {"exim4-base.timer"}


def test_owners_are_read_per_unit_and_program() -> None:
    rows = [
        "exim4.service|/usr/sbin/exim4|exim4-base|",
        "exim4.service|/usr/sbin/exim4|exim4-daemon-light|exim4-localscanapi-2.0, mail-transport-agent",
        "no such line",
    ]
    assert Owners().process(rows) == {
        EXIM: [
            Owner("exim4-base", frozenset()),
            Owner(
                "exim4-daemon-light", frozenset({"exim4-localscanapi-2.0", "mail-transport-agent"})
            ),
        ]
    }
