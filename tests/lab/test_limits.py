"""The limits of a domain file hold: one mail more is put off with the reason, one connection more waits."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet.project.lab_environment import Lab
from roles import postfix
from tests.lab.test_mail import SUITES, LabSmtp, connect

if TYPE_CHECKING:
    from mailfleet.model import SendingAddress
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SENDER = "bounces@bounce.shop.test"
# Each smaller than what the others let through, so that it is this limit that strikes.
LIMITS = """
[streams.transactional.limits]
messages_per_minute = 3
recipients_per_minute = 6
connections_per_minute = 8
concurrent_connections = 2
recipients_per_message = 4
message_bytes = 20000
"""
# Opens so many connections at the same time, and prints how each is greeted.
SERVED = """
import socket, sys
address, port, count = sys.argv[1:]
clients = [socket.create_connection((address, int(port)), 20) for _ in range(int(count))]
print(*(client.recv(3).decode() for client in clients))
"""
FORGET = "iptables-restore -n < /etc/ufw/mailfleet-ingress.rules"


@pytest.fixture(scope="module")
def limited(
    deployed_lab: DeployedLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedLab]:
    """The lab with small limits for one stream, deployed as a user would; the others stay."""
    inventory = deployed_lab.variant(tmp_path_factory.mktemp("small"), lambda text: text + LIMITS)
    # Where tests come from is exempt from the limits on connections otherwise.
    text = inventory.read_text()
    inventory.write_text(re.sub(r"never_banned=.*", "never_banned=[],", text))
    assert inventory.read_text() != text
    try:
        deployed_lab.pyinfra("deploys/mta.py", inventory=str(inventory))
        yield deployed_lab
    finally:
        deployed_lab.repair()


@pytest.fixture(params=["eu", "us"])
def sending(limited: DeployedLab, request: pytest.FixtureRequest) -> SendingAddress:
    """The limited stream's address on both releases; its counters begin at zero."""
    region = request.param
    sending = limited.fleet.host(getattr(limited, region)).sending_address("transactional")
    # anvil(8) counts for a minute; it forgets when the instance restarts. The firewall when it does.
    unit = postfix.unit(SUITES[region], sending.instance)
    limited.on(sending.host, f"systemctl reset-failed {unit}; systemctl restart {unit}; {FORGET}")
    return sending


@pytest.fixture
def address(sending: SendingAddress) -> str:
    return str(sending.ipv4)


@pytest.fixture
def session(limited: DeployedLab, sending: SendingAddress) -> Iterator[Callable[[], LabSmtp]]:
    """Opens sessions at the limited stream; those that a test leaves open are closed after it."""
    endpoint = limited.fleet.stream(sending.stream).endpoint
    with contextlib.ExitStack() as opened:

        def opens() -> LabSmtp:
            smtp = LabSmtp(limited, str(sending.ipv4), 587, endpoint)
            opened.callback(smtp.close)
            return smtp

        yield opens


def logged_in(smtp: LabSmtp, lab_name: str) -> LabSmtp:
    """The session after TLS and login."""
    smtp.starttls(context=smtp.context)
    smtp.login("orders", Lab(lab_name).secret("password-orders", "tests").reveal())
    return smtp


def test_messages_per_minute(limited: DeployedLab, session: Callable[[], LabSmtp]) -> None:
    with logged_in(session(), limited.name) as smtp:
        for _ in range(3):
            assert smtp.mail(SENDER)[0] == 250
            smtp.rset()
        code, text = smtp.mail(SENDER)
    assert code == 450
    assert text.startswith(b"4.7.1 Error: too much mail from")


def test_recipients_per_minute(limited: DeployedLab, session: Callable[[], LabSmtp]) -> None:
    with logged_in(session(), limited.name) as smtp:
        for _ in range(2):
            assert smtp.mail(SENDER)[0] == 250
            assert [smtp.rcpt(f"r{n}@inbox.test")[0] for n in range(3)] == [250] * 3
            smtp.rset()
        assert smtp.mail(SENDER)[0] == 250
        code, text = smtp.rcpt("more@inbox.test")
    assert code == 450
    assert text.startswith(b"4.7.1 Error: too many recipients from")


def test_recipients_per_message(limited: DeployedLab, session: Callable[[], LabSmtp]) -> None:
    with logged_in(session(), limited.name) as smtp:
        assert smtp.mail(SENDER)[0] == 250
        assert [smtp.rcpt(f"r{n}@inbox.test")[0] for n in range(4)] == [250] * 4
        code, text = smtp.rcpt("more@inbox.test")
    assert (code, text) == (452, b"4.5.3 Error: too many recipients")


def test_concurrent_connections(
    limited: DeployedLab, session: Callable[[], LabSmtp], address: str
) -> None:
    # Two, and four of the waiting port: twice as many processes as a client may have connections.
    sessions = [session() for _ in range(6)]
    # Whoever comes now is let in, and gets no greeting yet; nothing is refused that would lose a mail.
    # The firewall may hold the connection itself back for a while, after those of other tests.
    with connect(limited, address, 587, timeout=60) as waiting:
        waiting.settimeout(1.5)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        sessions.pop().quit()
        waiting.settimeout(20)
        assert waiting.recv(4) == b"220 "
    for smtp in sessions:
        assert smtp.noop()[0] == 250
        smtp.quit()


def test_the_fleets_own_hosts_wait_for_nothing(limited: DeployedLab, address: str) -> None:
    """Nor do networks in `never_banned`; neither are there limits of connections a minute."""
    other = limited.us if address.startswith("198.51.100.") else limited.eu
    said = limited.on(other, f"python3 -c {shlex.quote(SERVED)} {address} 587 20")
    assert said.split() == ["220"] * 20


def test_connections_per_minute(
    limited: DeployedLab, session: Callable[[], LabSmtp], address: str
) -> None:
    for _ in range(8):
        with connect(limited, address, 587) as client:
            # Ended at once, by a reset: it is no connection at the same time as the next.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with pytest.raises(TimeoutError):
        connect(limited, address, 587, timeout=1.5)
    # Nobody is turned away: every eighth of a minute lets one in.
    with session() as smtp:
        assert smtp.noop()[0] == 250


def test_message_bytes(limited: DeployedLab, session: Callable[[], LabSmtp]) -> None:
    with logged_in(session(), limited.name) as smtp:
        smtp.ehlo()
        assert smtp.esmtp_features["size"] == "20000"
        code, text = smtp.mail(SENDER, ["SIZE=20001"])
        assert (code, text) == (552, b"5.3.4 Message size exceeds fixed limit")
    # Whoever does not announce the size is caught as well.
    with logged_in(session(), limited.name) as smtp:
        assert (smtp.mail(SENDER)[0], smtp.rcpt("x@inbox.test")[0]) == (250, 250)
        code, text = smtp.data(
            f"From: a@shop.test\r\n\r\n{'x' * 70}\r\n{('y' * 70 + chr(10)) * 300}"
        )
        assert (code, text) == (552, b"5.3.4 Error: message file too big")


def test_other_streams_keep_their_limits(limited: DeployedLab) -> None:
    for host in (limited.eu, limited.us):
        values = limited.on(host, "postconf -h -c /etc/postfix-marketing smtpd_recipient_limit")
        assert values.split() == ["1000"]
