"""SMTP smuggling and its kin: what is sent as one mail stays one, and nobody speaks out of turn."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.verify.smuggling import ENDS
from tests.lab.test_mail import LabSmtp, arrived, bounced, connect
from tests.lab.test_submission import SENDER, connected, deliver, log_in

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

LOG = "/var/log/postfix/postfix.log"
# Whoever sees the end of the first mail in `end` sees a second one, in commands with the same line ends.
SMUGGLED = (
    "From: a@shop.test\r\nTo: {first}\r\n\r\nHi.{end}MAIL FROM:<{sender}>{line}RCPT TO:<{second}>{line}"
    "DATA{line}From: a@shop.test{line}To: {second}{line}{line}Smuggled.\r\n"
)


def smuggle(smtp: LabSmtp, end: str, sender: str, first: str, second: str) -> int:
    """Send one mail with a wrong end in it; the code of the only reply, and nothing after it."""
    line = "\r\n" if end.endswith("\r\n") else end[-1]
    body = SMUGGLED.format(end=end, line=line, sender=sender, first=first, second=second)
    code, text = deliver(smtp, body.removesuffix("\r\n"), first, sender)
    # What was smuggled would have been answered as well: these replies would be its.
    assert smtp.docmd("NOOP") == (250, b"2.0.0 Ok"), text
    assert smtp.docmd("RCPT", f"TO:<{second}>")[0] == 503
    return code


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "STARTTLS"])
def test_no_wrong_end_makes_two_mails_of_one_at_inbound(
    deployed_lab: DeployedLab, host: str, tls: bool
) -> None:
    token = uuid.uuid4().hex[:12]
    sender = "a@evil.test"
    accepted = []
    for number, end in enumerate(ENDS.values()):
        first, second = f"first-{number}-{token}@shop.test", f"second-{token}@shop.test"
        with connected(deployed_lab, host, 25) as smtp:
            if tls:
                smtp.starttls(context=trusting(smtp))
            code = smuggle(smtp, end, sender, first, second)
        assert code in (250, 550), end
        accepted += [first] * (code == 250)
    assert accepted, "a stray line end alone is no reason to refuse a bounce"
    # Whatever was smuggled would have been queued before this one.
    fence = f"fence-{token}@shop.test"
    with connected(deployed_lab, host, 25) as smtp:
        assert deliver(smtp, f"To: {fence}\r\n\r\nHi.", fence, sender)[0] == 250
    for recipient in (*accepted, fence):
        bounced(deployed_lab, "shop.test", recipient, (host,))
    found = deployed_lab.on(
        host, f"grep -lsrE '^X-Original-To: second-{token}|for <second-{token}'"
        " /var/mail/mailfleet/shop.test || true",
    )  # fmt: skip
    assert found == ""


def test_no_wrong_end_makes_two_mails_of_one_at_submission(
    deployed_lab: DeployedLab, host: str
) -> None:
    token = uuid.uuid4().hex[:12]
    second = f"second-{token}@inbox.test"
    accepted = []
    for number, end in enumerate(ENDS.values()):
        first = f"first-{number}-{token}@inbox.test"
        with connected(deployed_lab, host, 465) as smtp:
            log_in(deployed_lab, smtp, "orders")
            code = smuggle(smtp, end, SENDER, first, second)
        assert code == (550 if "\0" in end else 250), "a mail with an octet 0 is no mail"
        accepted += [first] * (code == 250)
    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "orders")
        fence = f"fence-{token}@inbox.test"
        body = f"From: a@shop.test\r\nTo: {fence}\r\n\r\nHi."
        assert deliver(smtp, body, fence)[0] == 250
    for recipient in (*accepted, fence):
        arrived(deployed_lab, recipient, "Delivered-To")
    mails = [str(mail["Delivered-To"]) for mail in lab.received(deployed_lab.name)]
    assert second not in mails
    assert len([mail for mail in mails if token in mail]) == len(accepted) + 1


def test_no_bare_line_end_leaves_a_host(deployed_lab: DeployedLab, host: str) -> None:
    """What a receiver makes of them is not for us to know: smuggling outwards."""
    recipient = f"stray-{uuid.uuid4().hex}@inbox.test"
    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "orders")
        body = f"From: a@shop.test\r\nTo: {recipient}\r\n\r\none\rtwo\n.\nthree\r.\rfour\n.\rfive\r\n.x"
        assert deliver(smtp, body, recipient)[0] == 250
    arrived(deployed_lab, recipient)
    # The receiver's own Postfix keeps a stray carriage return that it gets.
    folder = Path(lab.files(deployed_lab.name).mailboxes) / "new"
    (raw,) = [b for p in folder.iterdir() if recipient.encode() in (b := p.read_bytes())]
    assert b"five" in raw
    assert b"\r" not in raw


def test_nobody_sends_commands_before_it_is_his_turn(deployed_lab: DeployedLab, host: str) -> None:
    with connected(deployed_lab, host, 25) as smtp:
        smtp.send(b"EHLO client.test\r\nMAIL FROM:<a@evil.test>\r\nRCPT TO:<x@shop.test>\r\n")
        assert hung_up(smtp) == [554]
    # A message before the server asked for it. MAIL, RCPT and DATA together are what PIPELINING allows.
    with connected(deployed_lab, host, 25) as smtp:
        smtp.ehlo()
        smtp.send(
            b"MAIL FROM:<a@evil.test>\r\nRCPT TO:<x@shop.test>\r\nDATA\r\nSubject: s\r\n\r\nHi.\r\n.\r\n"
        )
        assert hung_up(smtp) == [250, 250, 554]


def test_pipelining_as_rfc_2920_has_it_works(deployed_lab: DeployedLab, host: str) -> None:
    recipient = f"pipelined-{uuid.uuid4().hex}@shop.test"
    with connected(deployed_lab, host, 25) as smtp:
        smtp.ehlo()
        smtp.send(f"MAIL FROM:<a@evil.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        assert [smtp.getreply()[0] for _ in range(3)] == [250, 250, 354]
        smtp.send(f"To: {recipient}\r\n\r\nHi.\r\n.\r\n".encode())
        assert smtp.getreply()[0] == 250
    bounced(deployed_lab, "shop.test", recipient, (host,))


@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize("injected", ["RSET", "EHLO injected.test", "MAIL FROM:<a@evil.test>"])
def test_nothing_sent_before_tls_counts_after_it(
    deployed_lab: DeployedLab, host: str, port: int, injected: str
) -> None:
    """STARTTLS injection (CVE-2011-0411): plain text after STARTTLS, put there by somebody else."""
    with connected(deployed_lab, host, port) as smtp:
        smtp.ehlo()
        smtp.send(f"STARTTLS\r\n{injected}\r\n".encode())
        assert smtp.getreply()[0] == 220
        assert smtp.sock is not None
        smtp.sock = trusting(smtp).wrap_socket(smtp.sock)
        smtp.file = None
        # The first reply inside TLS is that to the first command inside TLS.
        assert smtp.docmd("NOOP") == (250, b"2.0.0 Ok")
        assert smtp.docmd("RCPT", "TO:<x@shop.test>")[0] in (503, 530, 554)


@pytest.mark.parametrize("version", [4, 6])
def test_who_talks_before_the_banner_is_turned_away(
    deployed_lab: DeployedLab, host: str, version: int
) -> None:
    """postscreen's greet test, from an address that it does not know yet."""
    machine = deployed_lab.fleet.host(host)
    address = next(str(a) for a in machine.addresses if a.version == version)
    forget = "rm -f /var/lib/postfix/postscreen_cache.lmdb && postfix reload"
    deployed_lab.on(host, forget)
    recipient = f"early-{uuid.uuid4().hex}@shop.test"
    written = int(deployed_lab.on(host, f"wc -c < {LOG}"))
    with LabSmtp.__new__(LabSmtp) as smtp:
        smtplib.SMTP.__init__(smtp, local_hostname="client.test", timeout=20)
        smtp.sock = connect(deployed_lab, address, 25)
        smtp.send(b"EHLO client.test\r\n")
        # The first line of the banner, its last line (or what comes in its place), and to EHLO.
        assert smtp.getreply()[0] in (220, 250)
        assert smtp.docmd("MAIL", "FROM:<a@evil.test>")[0] == 250
        assert smtp.docmd("RCPT", f"TO:<{recipient}>")[0] == 550
    log = deployed_lab.on(host, f"tail -c +{written + 1} {LOG}")
    assert "PREGREET 18 after" in log
    # The same client is welcome when it waits: the first time with a look at it, then without.
    for passed in ("PASS NEW", "PASS OLD"):
        with connected(deployed_lab, host, 25, version=version) as good:
            good.ehlo()
            assert good.mail("a@evil.test")[0] == 250
            assert good.rcpt(recipient)[0] == 250
        said = deployed_lab.on(host, f"grep postscreen {LOG} | tail -n 3")
        assert passed in said


def hung_up(smtp: LabSmtp) -> list[int]:
    """The codes of all replies until the server hangs up."""
    codes: list[int] = []
    with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
        while len(codes) < 10:
            codes.append(smtp.getreply()[0])
    return codes


def trusting(smtp: LabSmtp) -> ssl.SSLContext:
    """Inbound is known by the host's name, which the session was not opened with."""
    smtp.context.check_hostname = False
    return smtp.context
