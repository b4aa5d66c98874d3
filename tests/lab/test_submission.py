"""Submission: who may send what as whom, and that nobody else may. Plain text where it refuses."""

from __future__ import annotations

import base64
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from mailfleet.project.lab_environment import Lab
from tests.lab.test_mail import LabSmtp, arrived, bounced

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

SENDER = "bounces@bounce.shop.test"
# What a From header may not say in the stream of shop.test, each way round and in disguise.
FOREIGN = {
    "another domain": "From: a@evil.test",
    "another stream's domain": "From: a@news.shop.test",
    "a domain that ends alike": "From: a@evilshop.test",
    "a domain that begins alike": "From: a@shop.test.evil.test",
    "two addresses": "From: a@shop.test, b@evil.test",
    "two addresses, ours last": "From: b@evil.test, a@shop.test",
    "ours as the display name": 'From: "a@shop.test" <b@evil.test>',
    "ours as a comment": "From: b@evil.test (a@shop.test)",
    "ours as an unquoted name": "From: a@shop.test <b@evil.test>",
    "a source route": "From: <@evil.test:a@shop.test>",
    "a group": "From: shop: b@evil.test;",
    "folded after the colon": "From:\r\n b@evil.test",
    "folded between two": "From: b@evil.test,\r\n a@shop.test",
    "folded with a tab": "From: a@shop.test,\r\n\tb@evil.test",
    "a second header": "From: a@shop.test\r\nFrom: b@evil.test",
    "a second header before": "From: b@evil.test\r\nFrom: a@shop.test",
    "a second header, also ours": "From: a@shop.test\r\nFrom: b@shop.test",
    "a blank before the colon": "From: a@shop.test\r\nFrom : b@evil.test",
    "other letters": "X-A: 1\r\nfRoM: b@evil.test",
    "a bare newline": "From: a@shop.test\nFrom: b@evil.test",
    "a bare carriage return": "From: a@shop.test\rFrom: b@evil.test",
    "no domain": "From: root",
    "nothing": "From:",
}
OWN = {
    "an address": "From: a@shop.test",
    "a name": 'From: "Shop, Ltd." <a@shop.test>',
    "in other letters": "FROM: Shop <A@SHOP.TEST>",
    "folded": "From: The Shop\r\n <a@shop.test>",
    "an encoded name": "From: =?utf-8?q?B=C3=BCcher?= <a@shop.test>",
}
# A message that is passed on has a From of its own, which nobody takes for ours.
ATTACHED = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: message/rfc822

From: customer@evil.test
Subject: Where is my order?

Hello.
--part--
"""


@pytest.mark.parametrize("recipient", ["postmaster", '"PostMaster"', "@inbox.test:postmaster"])
def test_postmaster_takes_nothing_from_strangers_at_submission(
    deployed_lab: DeployedLab, host: str, recipient: str
) -> None:
    """Postfix asks no restriction about this recipient (RFC 5321, section 4.5.1)."""
    with connected(deployed_lab, host, 465) as smtp:
        smtp.ehlo()
        for sender in (SENDER, "", "thief@evil.test"):
            assert smtp.mail(sender)[0] == 250
            smtp.rcpt(recipient)
            code, text = smtp.docmd("DATA")
            assert code == 554, text
            smtp.rset()


def test_mail_to_postmaster_has_a_sender_of_the_stream(client: LabSmtp) -> None:
    for sender, code in (("", 554), ("thief@evil.test", 553), (SENDER, 354)):
        assert client.mail(sender)[0] == 250
        assert client.rcpt("postmaster")[0] == 250
        assert client.docmd("DATA")[0] == code
        if code != 354:
            client.rset()


@pytest.mark.parametrize("stream", ["transactional", "marketing"])
def test_no_login_is_offered_before_tls(deployed_lab: DeployedLab, host: str, stream: str) -> None:
    with connected(deployed_lab, host, 587, stream) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN AGEAYg==")[0] in (502, 503, 530)
        assert smtp.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 530
        smtp.starttls(context=smtp.context)
        smtp.ehlo()
        assert set(smtp.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN"}


def test_old_tls_is_refused(deployed_lab: DeployedLab, host: str) -> None:
    # What OpenSSL offers is asked of it directly: Python warns of each older version.
    def negotiated(version: str) -> str:
        target = f"{deployed_lab.fleet.host(host).sending[0].addresses[0]}:587"
        offer = (
            f"openssl s_client -connect {target} -starttls smtp -cipher ALL:@SECLEVEL=0 {version}"
        )
        said = deployed_lab.on(host, f"{offer} </dev/null 2>&1 || true")
        found = re.search(r"^ *(?:New, |Protocol *: )(TLSv[0-9.]+|\(NONE\))", said, re.MULTILINE)
        return found[1] if found else said

    assert negotiated("-tls1_2") == "TLSv1.2"
    for version in ("-tls1", "-tls1_1"):
        assert negotiated(version) == "(NONE)"


@pytest.mark.parametrize("login", ["orders", "nobody"])
def test_a_wrong_password_is_refused(deployed_lab: DeployedLab, host: str, login: str) -> None:
    with connected(deployed_lab, host, 465) as smtp:
        smtp.ehlo()
        answer = base64.b64encode(f"\0{login}\0wrong".encode()).decode()
        assert smtp.docmd("AUTH", f"PLAIN {answer}")[0] == 535
        assert refusal(smtp, SENDER)[0] == 554


@pytest.mark.parametrize(
    "sender", ["bounces@bounce.news.shop.test", SENDER, "a@shop.test", "a@news.shop.test"]
)
def test_a_login_of_another_stream_is_refused(
    deployed_lab: DeployedLab, host: str, sender: str
) -> None:
    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "newsletter")
        code, text = refusal(smtp, sender)
    assert (code, "not owned by user newsletter" in text) == (553, True), text


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("a@evil.test", 553),
        ("bounces@bounce.news.shop.test", 553),
        ("a@sub.shop.test", 553),
        ("a@evil.test@shop.test", 553),
        ("", 554),
        ("root", 504),
    ],
)
def test_a_foreign_sender_is_refused(client: LabSmtp, sender: str, code: int) -> None:
    found, text = refusal(client, sender)
    assert found == code, text
    # The session goes on, and what is right still works.
    client.rset()
    assert refusal(client, SENDER) == (0, "")


@pytest.mark.parametrize("header", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_from_header_is_refused(client: LabSmtp, header: str) -> None:
    code, text = deliver(client, f"{header}\r\nTo: x@inbox.test\r\nSubject: x\r\n\r\nHi.\r\n")
    assert code == 550, text
    assert "From" in text


@pytest.mark.parametrize("header", OWN.values(), ids=OWN.keys())
def test_a_from_header_of_our_own_passes(
    deployed_lab: DeployedLab, client: LabSmtp, header: str
) -> None:
    recipient = f"from-{uuid.uuid4().hex}@inbox.test"
    assert deliver(client, f"{header}\r\nTo: {recipient}\r\n\r\nHi.\r\n", recipient)[0] == 250
    assert "dkim=pass" in str(arrived(deployed_lab, recipient)["Authentication-Results"])


def test_an_attached_message_may_be_from_anybody(
    deployed_lab: DeployedLab, client: LabSmtp
) -> None:
    recipient = f"attached-{uuid.uuid4().hex}@inbox.test"
    text = f"From: a@shop.test\nTo: {recipient}\n{ATTACHED}".replace("\n", "\r\n")
    assert deliver(client, text, recipient)[0] == 250
    assert "dmarc=pass" in str(arrived(deployed_lab, recipient)["Authentication-Results"])


@pytest.mark.parametrize(
    "start",
    ["", "\r\nFrom: b@evil.test\r\n", " From: b@evil.test\r\n", "From : b@evil.test\r\n"],
    ids=["none", "an empty line first", "a blank first", "a mailbox line"],
)
def test_mail_without_a_from_header_gets_that_of_its_sender(
    deployed_lab: DeployedLab, client: LabSmtp, start: str
) -> None:
    recipient = f"none-{uuid.uuid4().hex}@inbox.test"
    assert deliver(client, f"{start}To: {recipient}\r\n\r\nHi.\r\n", recipient)[0] == 250
    # Its To may have become part of the text: the envelope is what Delivered-To repeats.
    message = arrived(deployed_lab, recipient, "Delivered-To")
    assert message.get_all("From") == [SENDER]
    results = str(message["Authentication-Results"])
    assert "dkim=pass" in results
    assert "dmarc=pass" in results


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("port", [465, 587, 25])
def test_nobody_relays_without_a_login(
    deployed_lab: DeployedLab, host: str, port: int, version: int
) -> None:
    for sender in (SENDER, "a@shop.test", "a@evil.test", f"root@{host}", ""):
        with connected(deployed_lab, host, port, version=version) as smtp:
            if port == 587:
                smtp.starttls(context=smtp.context)
            code, text = refusal(smtp, sender)
        assert code == 554, text
        assert ("Relay access" if port == 25 else "Client host rejected: Access") in text


# What a program on the host itself may try: its own addresses and loopback, without a login.
FROM_ITSELF = """
import smtplib, ssl, sys
trust = ssl._create_unverified_context()
for target in sys.argv[1:]:
    address, port = target.rsplit("_", 1)
    try:
        if port == "465":
            smtp = smtplib.SMTP_SSL(address, 465, context=trust, timeout=20)
        else:
            smtp = smtplib.SMTP(address, int(port), timeout=20)
            if port == "587":
                smtp.starttls(context=trust)
        smtp.ehlo()
        smtp.mail("bounces@bounce.shop.test")
        print(target, smtp.rcpt("x@inbox.test")[0])
    except ConnectionRefusedError:
        print(target, "closed")
"""


def test_the_host_itself_relays_nothing_without_a_login(
    deployed_lab: DeployedLab, host: str
) -> None:
    machine = deployed_lab.fleet.host(host)
    inbound = [f"{address}_25" for address in machine.addresses]
    submission = [f"{a}_{p}" for s in machine.sending for a in s.addresses for p in (465, 587)]
    loopback = [f"{address}_{port}" for address in ("127.0.0.1", "::1") for port in (25, 465, 587)]
    targets = [*inbound, *submission, *loopback]
    said = deployed_lab.on(host, f"python3 - {' '.join(targets)}", stdin=FROM_ITSELF)
    replies = dict(line.split() for line in said.splitlines())
    assert replies == {
        **dict.fromkeys((*inbound, *submission), "554"),
        **dict.fromkeys(loopback, "closed"),
    }


# A server that took the bare newlines for line ends would see the end of one mail, and another.
SMUGGLED = (
    "\r\nHi.{end}MAIL FROM:<{sender}>{line}RCPT TO:<{recipient}>{line}DATA{line}Subject: s{line}"
)


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("\n.\n", "\n"),
        ("\n.\r\n", "\r\n"),
        ("\r\n.\n", "\r\n"),
        ("\r.\r", "\r"),
        ("\r\n.\r", "\r\n"),
    ],
    ids=["LF.LF", "LF.CRLF", "CRLF.LF", "CR.CR", "CRLF.CR"],
)
def test_a_bare_newline_ends_no_submitted_message(client: LabSmtp, end: str, line: str) -> None:
    body = SMUGGLED.format(end=end, line=line, sender=SENDER, recipient="smuggled@inbox.test")
    code, text = deliver(client, f"From: a@shop.test\r\nTo: x@inbox.test\r\n{body}")
    # One reply to one message; what was smuggled would have been answered as well.
    assert code in (250, 521, 550), text
    if code == 250:
        assert client.docmd("NOOP", "") == (250, b"2.0.0 Ok")
        assert client.docmd("RCPT", "TO:<x@inbox.test>")[0] == 503


@pytest.mark.parametrize(
    "end", ["\n.\n", "\n.\r\n", "\r\n.\n"], ids=["LF.LF", "LF.CRLF", "CRLF.LF"]
)
def test_a_bare_newline_ends_no_inbound_message(
    deployed_lab: DeployedLab, host: str, end: str
) -> None:
    token = uuid.uuid4().hex
    recipient, second = f"first-{token}@shop.test", f"second-{token}@shop.test"
    body = SMUGGLED.format(
        end=end, line=end[-2:].lstrip("."), sender="a@evil.test", recipient=second
    )
    with connected(deployed_lab, host, 25) as smtp:
        smtp.ehlo()
        code, text = deliver(
            smtp, f"From: a@evil.test\r\nTo: {recipient}\r\n{body}", recipient, "a@evil.test"
        )
        assert code == 250, text
        assert smtp.docmd("NOOP", "") == (250, b"2.0.0 Ok")
        assert smtp.docmd("RCPT", f"TO:<{second}>")[0] == 503
    # It is one mail, and what was smuggled is part of its text.
    assert f"RCPT TO:<{second}>" in bounced(deployed_lab, "shop.test", recipient, (host,))


def connected(
    deployed: DeployedLab, host: str, port: int, stream: str = "transactional", version: int = 4
) -> LabSmtp:
    """A session at a stream's port, or at inbound's port 25; without a login."""
    machine = deployed.fleet.host(host)
    sending = machine.sending_address(stream)
    addresses = machine.addresses if port == 25 else sending.addresses
    address = next(str(a) for a in addresses if a.version == version)
    return LabSmtp(deployed, address, port, deployed.fleet.stream(stream).endpoint)


def log_in(deployed: DeployedLab, smtp: LabSmtp, login: str) -> None:
    """Log in with the lab's password for `login`."""
    smtp.login(login, Lab(deployed.name).secret(f"password-{login}", "tests").reveal())


def refusal(smtp: LabSmtp, sender: str, recipient: str = "x@inbox.test") -> tuple[int, str]:
    """The first refusal of an envelope, which is left open; (0, "") where it is accepted."""
    smtp.ehlo_or_helo_if_needed()
    for code, text in (smtp.mail(sender), smtp.rcpt(recipient)):
        if code != 250:
            return code, text.decode()
    return 0, ""


def deliver(
    smtp: LabSmtp, text: str, recipient: str = "x@inbox.test", sender: str = SENDER
) -> tuple[int, str]:
    """The reply to a message whose bytes are sent as they are; smtplib would mend its line ends."""
    assert refusal(smtp, sender, recipient) == (0, "")
    assert smtp.docmd("DATA")[0] == 354
    smtp.send(text.encode() + b"\r\n.\r\n")
    code, reply = smtp.getreply()
    return code, reply.decode()
