"""Clients that connect and never speak: few of each are served, and others are served beside them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.host.connections import waiting_ports
from mailfleet.lab import addresses
from tests.lab.test_fail2ban import BYSTANDER, GUESSER, Target, shut_out, target, until
from tests.lab.test_mail import connect
from tests.lab.test_submission import connected, log_in

__all__ = ["target"]

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Of 25 connections of an address, and of 75 of a network: at port 25 the limits of
# mailfleet/host/connections.py; at the others all are let in, and all but ten of a client wait where
# nobody else is.
ALLOWED = {465: (25, 75), 587: (25, 75), 25: (10, 50)}
# The lab's name server has three addresses in each of its networks. With IPv6 they are one client.
IPV4 = tuple(str(pair[0]) for pair in (addresses.NAMESERVER, addresses.RESOLVER, addresses.ACME))
IPV6 = tuple(str(pair[1]) for pair in (addresses.NAMESERVER, addresses.RESOLVER, addresses.ACME))
# Tells how many of 25 connections from each address are let in, and holds them until its input ends.
IDLE = """
import select, socket, sys
target, port, *own = sys.argv[1:]
waiting, established = [], []
for address in own:
    for _ in range(25):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        client.setblocking(False)
        client.bind((address, 0))
        client.connect_ex((target, int(port)))
        waiting.append(client)
# Who gets no answer for three seconds while others did is left waiting.
while ready := select.select([], waiting, [], 3)[1]:
    established += ready
    waiting = [client for client in waiting if client not in ready]
print(len(established), flush=True)
sys.stdin.read()
"""

# Ten clients that each have all their connections at 587 served, come up to the login and fall silent. Tells
# how many got there, and how many of them are still held once a line comes in.
BEFORE_LOGIN = """
import select, socket, ssl, sys
target, *own = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
held = []
for address in own:
    for _ in range(10):
        client = socket.create_connection((target, 587), 30, (address, 0))
        for command in (b"", b"EHLO silent.test\\r\\n", b"STARTTLS\\r\\n"):
            client.sendall(command)
            answer = client.recv(4096)
            if not answer.startswith(b"2"):
                sys.exit(answer)
        client = context.wrap_socket(client)
        client.sendall(b"EHLO silent.test\\r\\n")
        while b"\\n250 " not in client.recv(4096):
            pass
        held.append(client)
print(len(held), flush=True)
sys.stdin.readline()
print(len(held) - len(select.select(held, [], [], 0)[0]), flush=True)
"""


@contextmanager
def idle(
    deployed: DeployedLab, address: str, port: int, own: tuple[str, ...], *, host: str = "ns"
) -> Iterator[int]:
    """Connections from the addresses `own` that say nothing; how many of them are let in."""
    command = shlex.join(("python3", "-c", IDLE, address, str(port), *own))
    with subprocess.Popen(
        [*lab.ssh_command(deployed.name, host), command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as clients:  # fmt: skip
        assert clients.stdout is not None
        yield int(clients.stdout.readline())


@pytest.mark.parametrize("port", [465, 587, 25])
@pytest.mark.parametrize("region", ["eu", "us"])
def test_idle_clients_leave_room_for_others(
    deployed_lab: DeployedLab, region: str, port: int
) -> None:
    host = getattr(deployed_lab, region)
    machine = deployed_lab.fleet.host(host)
    ipv4, ipv6 = machine.addresses if port == 25 else machine.sending[0].addresses
    with (
        idle(deployed_lab, str(ipv4), port, IPV4) as each,
        idle(deployed_lab, str(ipv6), port, IPV6) as together,
        connected(deployed_lab, host, port) as smtp,
    ):
        address, network = ALLOWED[port]
        assert (each, together) == (3 * address, network)
        assert smtp.ehlo()[0] == 250


@pytest.mark.parametrize("region", ["eu", "us"])
def test_silence_before_a_login_leaves_room_for_others(
    deployed_lab: DeployedLab, region: str
) -> None:
    host = getattr(deployed_lab, region)
    own = tuple(str(addresses.CORE.v4[number]) for number in range(60, 70))
    link = f"dev $(ip -o addr show to {addresses.NAMESERVER[0]} | cut -d' ' -f2)"
    change = "; ".join(f"ip addr {{verb}} {address}/24 {link}" for address in own)
    target = str(deployed_lab.fleet.host(host).sending[0].ipv4)
    command = shlex.join(("python3", "-c", BEFORE_LOGIN, target, *own))
    deployed_lab.on("ns", change.format(verb="add"))
    try:
        with (
            subprocess.Popen(
                [*lab.ssh_command(deployed_lab.name, "ns"), command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            ) as clients,
        ):  # fmt: skip
            assert clients.stdout is not None
            assert clients.stdin is not None
            assert clients.stdout.readline() == "100\n"
            # Served while all of them still hold what they have.
            with connected(deployed_lab, host, 587) as smtp:
                smtp.starttls(context=smtp.context)
                log_in(deployed_lab, smtp, "orders")
            clients.stdin.write("\n")
            clients.stdin.flush()
            assert clients.stdout.readline() == "100\n"
    finally:
        deployed_lab.on("ns", change.format(verb="del"))


@pytest.mark.parametrize("region", ["eu", "us"])
def test_nobody_gets_to_a_waiting_port_directly(deployed_lab: DeployedLab, region: str) -> None:
    fleet = deployed_lab.fleet
    machine = fleet.host(getattr(deployed_lab, region))
    for port in waiting_ports(fleet, machine).values():
        with pytest.raises(TimeoutError):
            connect(deployed_lab, str(machine.sending[0].ipv4), port, timeout=1.5)


def test_who_never_speaks_is_banned_and_who_only_looks_is_not(target: Target) -> None:
    deployed, address = target.deployed, target.submission
    target.server("set", "idle", "maxretry", "3")
    # As monitoring does, and as an application does that has nothing to say.
    for _ in range(4):
        assert target.reached(BYSTANDER, address, 465) == "open"
    clients = tuple(str(a) for a in addresses.RECEIVER if a.version == target.version)
    with idle(deployed, address, 465, clients, host=GUESSER):
        # After the ten seconds in which a client has to begin with TLS.
        until(lambda: target.banned("idle") == set(clients), f"{clients} are banned")
    shut_out(target, "idle", clients[0])
    for port in (465, 587):
        assert target.reached(GUESSER, address, port) == "refused"
    assert target.reached(BYSTANDER, address, 465) == "open"


# As Postfix writes them on Debian 12 and, with NOQUEUE, on Debian 13.
_LINE = "Nov 28 04:33:40 transactional postfix-transactional/smtpd[15232]: "
SILENT = (
    "SSL_accept error from unknown[192.0.2.1]: Connection timed out",
    "timeout after CONNECT from unknown[192.0.2.1]",
    "NOQUEUE: timeout after EHLO from unknown[192.0.2.1]",
    "disconnect from unknown[192.0.2.1] ehlo=1 auth=0/1 commands=1/2",
    "disconnect from unknown[192.0.2.1] ehlo=2 starttls=1 auth=0/2 commands=3/5",
)
HARMLESS = (
    "NOQUEUE: timeout after AUTH from unknown[192.0.2.1]",
    "7D68E4CD136: timeout after DATA (183 bytes) from unknown[192.0.2.1]",
    "lost connection after CONNECT from unknown[192.0.2.1]",
    "disconnect from unknown[192.0.2.1] commands=0/0",
    "disconnect from unknown[192.0.2.1] ehlo=1 quit=1 commands=2",
    "disconnect from unknown[192.0.2.1] ehlo=1 auth=1 commands=2",
    "disconnect from unknown[192.0.2.1] ehlo=1 auth=1/2 mail=1 rcpt=1 data=1 commands=5/6",
)


@pytest.mark.parametrize("region", ["eu", "us"])
def test_what_is_told_of_silence_counts_on_both_releases(
    deployed_lab: DeployedLab, region: str
) -> None:
    lines = "".join(f"{_LINE}{text}\n" for text in (*SILENT, *HARMLESS))
    file = "/tmp/silence.log"
    command = f"cat > {file} && fail2ban-regex {file} /etc/fail2ban/filter.d/mailfleet-idle.conf; rm {file}"
    told = deployed_lab.on(getattr(deployed_lab, region), command, stdin=lines)
    assert f"Failregex: {len(SILENT)} total" in told, told
