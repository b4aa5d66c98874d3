"""No open relay: every known form of asking, at every port, with and without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify.relay_forms import literal, relay_attempts
from tests.lab.test_mail import LabSmtp
from tests.lab.test_submission import SENDER, connected, log_in, refusal

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Fewer than the mistakes after which Postfix slows a client down.
_A_SESSION = 8
# What inbound takes; any mail for it would be delivered here.
OWN = "bounce.shop.test"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("port", [25, 465, 587])
def test_no_form_of_relaying_without_a_login(
    deployed_lab: DeployedLab, host: str, port: int, version: int
) -> None:
    machine = deployed_lab.fleet.host(host)
    addresses = machine.addresses if port == 25 else machine.sending[0].addresses
    address = next(a for a in addresses if a.version == version)
    name = machine.name if port == 25 else machine.sending[0].helo
    attempts = relay_attempts(name, address, OWN)
    assert len(attempts) == len(set(attempts)) >= 28
    answers = {}
    for start in range(0, len(attempts), _A_SESSION):
        with open_session(deployed_lab, host, port, version) as smtp:
            for attempt in attempts[start : start + _A_SESSION]:
                answers[attempt] = first_refusal(smtp, *attempt)
    assert {attempt: code for attempt, code in answers.items() if not 500 <= code < 600} == {}


def test_mail_for_us_is_no_relaying(deployed_lab: DeployedLab, host: str) -> None:
    """Else the refusals above would prove nothing."""
    with open_session(deployed_lab, host, 25, 4) as smtp:
        assert first_refusal(smtp, "<stranger@example.org>", f"<return+path=x.example@{OWN}>") == 0


@pytest.mark.parametrize("port", [25, 465, 587])
def test_nobody_says_for_whom_he_speaks(deployed_lab: DeployedLab, host: str, port: int) -> None:
    """XCLIENT and XFORWARD let a trusted proxy name its client: nobody is trusted so far."""
    with open_session(deployed_lab, host, port, 4) as smtp:
        smtp.ehlo()
        assert not {"xclient", "xforward", "etrn", "chunking", "vrfy"} & set(smtp.esmtp_features)
        for command in (
            "XCLIENT ADDR=127.0.0.1 NAME=localhost",
            "XCLIENT LOGIN=orders",
            "XFORWARD ADDR=127.0.0.1 NAME=localhost",
            "ETRN shop.test",
        ):
            assert 500 <= smtp.docmd(command)[0] < 600, command
        assert first_refusal(smtp, f"<{SENDER}>", "<x@inbox.test>") == 554
        # What would follow is no command, so the server must not go on reading.
        assert 500 <= smtp.docmd("BDAT 4 LAST")[0] < 600
        assert smtp.sock is not None
        assert smtp.sock.recv(1) == b""


@pytest.mark.parametrize(
    "sender",
    [
        "<a@news.shop.test>",
        "<a@bounce.news.shop.test>",
        "<@shop.test:a@evil.test>",
        "<@evil.test:a@news.shop.test>",
        '<"a@evil.test"@shop.test>',
        "<a@evil.test@shop.test>",
        "<a%evil.test>",
        "<evil.test!a>",
        "<a@[192.0.2.1]>",
        "<a@LITERAL>",
        "<a@localhost>",
        "<postmaster>",
        "<>",
    ],
)
def test_a_login_sends_as_nobody_else(deployed_lab: DeployedLab, host: str, sender: str) -> None:
    address = deployed_lab.fleet.host(host).sending[0].addresses[0]
    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "orders")
        code = first_refusal(smtp, sender.replace("LITERAL", literal(address)), "<x@inbox.test>")
        assert 500 <= code < 600
        # It was the sender that was wrong.
        smtp.rset()
        assert refusal(smtp, SENDER) == (0, "")


@pytest.mark.parametrize("command", ["GET / HTTP/1.1", "CONNECT evil.test:25 HTTP/1.1", "POST /"])
def test_other_protocols_are_hung_up_on(deployed_lab: DeployedLab, host: str, command: str) -> None:
    with open_session(deployed_lab, host, 25, 4) as smtp:
        assert smtp.docmd(command)[0] == 221
        assert smtp.sock is not None
        assert smtp.sock.recv(1) == b""


def test_a_client_that_only_makes_mistakes_is_hung_up_on(
    deployed_lab: DeployedLab, host: str
) -> None:
    with open_session(deployed_lab, host, 25, 4) as smtp:
        codes: list[int] = []
        while 421 not in codes and len(codes) < 30:
            codes.append(smtp.docmd("NONSENSE")[0])
        assert codes[-1] == 421
        # The twentieth is the last.
        assert len(codes) <= 21


def open_session(deployed: DeployedLab, host: str, port: int, version: int) -> LabSmtp:
    """A session without a login, in TLS at the submission ports."""
    smtp = connected(deployed, host, port, version=version)
    if port == 587:
        smtp.starttls(context=smtp.context)
    return smtp


def first_refusal(smtp: LabSmtp, sender: str, recipient: str) -> int:
    """The code of the first refusal of an envelope, in the bytes given; 0 where it is accepted."""
    smtp.ehlo_or_helo_if_needed()
    smtp.docmd("RSET")
    for command in (f"MAIL FROM:{sender}", f"RCPT TO:{recipient}"):
        code, _ = smtp.docmd(command)
        if code != 250:
            return code
    return 0
