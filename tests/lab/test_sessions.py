"""Sessions of submission: how clients greet and pipeline, what of them leaves, and a judge that hangs."""

from __future__ import annotations

import contextlib
import smtplib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mailfleet.host.templates import render
from tests.lab.test_fail2ban import until
from tests.lab.test_mail import LabSmtp, arrived
from tests.lab.test_submission import SENDER, connected, deliver, log_in

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# What applications call themselves; the reply to EHLO, and why.
GREETINGS = {
    "client.example": 250,
    "localhost": 250,
    "app": 250,
    "APP_1.internal": 250,  # no host name at all; refused, mail would be lost for a name that nobody sees
    "[10.0.0.1]": 250,
    "[IPv6:2001:db8::1]": 250,
    "10.0.0.1": 250,
    "bücher.example": 250,
    "": 501,  # RFC 5321 §4.1.1.1: a name is to follow
}
JUDGE = "mailfleet-message@transactional.service"


def text_to(recipient: str, *headers: str) -> str:
    return "\r\n".join(["From: a@shop.test", f"To: {recipient}", *headers, "", "Hi."])


@pytest.mark.parametrize("name", GREETINGS)
def test_a_greeting_is_taken_and_does_not_leave(
    deployed_lab: DeployedLab, host: str, name: str
) -> None:
    recipient = f"greeting-{uuid.uuid4().hex}@inbox.test"
    with connected(deployed_lab, host, 465) as smtp:
        smtp.send(f"EHLO {name}\r\n".encode())
        assert smtp.getreply()[0] == GREETINGS[name]
        if GREETINGS[name] != 250:
            return
        smtp.ehlo_resp = b"AUTH PLAIN"
        smtp.esmtp_features = {"auth": " PLAIN"}
        log_in(deployed_lab, smtp, "orders")
        assert deliver(smtp, text_to(recipient), recipient)[0] == 250
    message = arrived(deployed_lab, recipient)
    assert "dkim=pass" in str(message["Authentication-Results"])
    own = str(message.get_all("Received", [])[-1])
    assert "SMTPSA" in own
    assert name not in own


def test_helo_alone_gives_no_login(deployed_lab: DeployedLab, host: str) -> None:
    with connected(deployed_lab, host, 465) as smtp:
        assert smtp.helo("client.test")[0] == 250
        assert smtp.mail(SENDER)[0] in (250, 530)
        assert smtp.rcpt("x@inbox.test")[0] in (503, 530, 554)


def test_pipelined_commands_are_taken_together(deployed_lab: DeployedLab, client: LabSmtp) -> None:
    """RFC 2920: MAIL, RCPT and DATA in one piece; and the next message behind the end of one."""
    first, second = (f"{word}-{uuid.uuid4().hex}@inbox.test" for word in ("first", "second"))
    start = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{{}}>\r\n"
    client.send((start.format(first) + "DATA\r\n").encode())
    assert [client.getreply()[0] for _ in range(3)] == [250, 250, 354]
    client.send((text_to(first) + "\r\n.\r\n" + start.format(second) + "DATA\r\n").encode())
    assert [client.getreply()[0] for _ in range(4)] == [250, 250, 250, 354]
    client.send((text_to(second) + "\r\n.\r\nQUIT\r\n").encode())
    assert [client.getreply()[0] for _ in range(2)] == [250, 221]
    for recipient in (first, second):
        assert "dkim=pass" in str(arrived(deployed_lab, recipient)["Authentication-Results"])


def test_of_pipelined_messages_the_wrong_one_is_refused_alone(client: LabSmtp) -> None:
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<x@inbox.test>\r\n"
    client.send((envelope + "DATA\r\n").encode())
    assert [client.getreply()[0] for _ in range(3)] == [250, 250, 354]
    client.send(("From: a@evil.test\r\n\r\nHi.\r\n.\r\n" + envelope + "RSET\r\n").encode())
    assert [client.getreply()[0] for _ in range(4)] == [550, 250, 250, 250]


@pytest.mark.parametrize("blank", [" ", "\t", " \t "])
def test_a_blank_before_the_colon_hides_no_header(
    deployed_lab: DeployedLab, client: LabSmtp, blank: str
) -> None:
    """Some readers see another header in it, and some the end of all: it is judged, and leaves without."""
    for name, reason in (("From", "From stands twice"), ("Sender", "Sender must be an address")):
        code, text = deliver(client, text_to("x@inbox.test", f"{name}{blank}: b@evil.test"))
        assert (code, reason in text) == (550, True)
    recipient = f"blank-{uuid.uuid4().hex}@inbox.test"
    text = text_to(recipient, f"Subject{blank}: a subject", f"X-Own{blank}: own")
    assert deliver(client, text, recipient)[0] == 250
    message = arrived(deployed_lab, recipient)
    assert (message["Subject"], message["X-Own"]) == ("a subject", "own")
    assert "dkim=pass" in str(message["Authentication-Results"])


def test_a_stream_may_keep_what_tells_of_its_application(
    deployed_lab: DeployedLab, host: str
) -> None:
    stream = deployed_lab.fleet.stream("transactional")
    sending = deployed_lab.fleet.host(host).sending_address(stream.name)
    path = f"/etc/{sending.instance}/header_checks"
    hidden = deployed_lab.on(host, f"cat {path}")
    kept = render(
        "etc/postfix-stream/header_checks",
        stream=replace(stream, client_trace="keep"),
        sending=sending,
    )
    assert len(kept) < len(hidden)
    headers = ("Received: from app.internal ([10.0.0.1]) by app; now", "X-Originating-IP: 10.0.0.1")
    traces = {}
    try:
        for name, content in (("keep", kept), ("hide", hidden)):
            deployed_lab.on(
                host, f"cat > {path} && postfix -c /etc/{sending.instance} reload", stdin=content
            )
            recipient = f"{name}-{uuid.uuid4().hex}@inbox.test"
            with connected(deployed_lab, host, 465) as smtp:
                log_in(deployed_lab, smtp, "orders")
                assert deliver(smtp, text_to(recipient, *headers), recipient)[0] == 250
            message = arrived(deployed_lab, recipient)
            assert "dkim=pass" in str(message["Authentication-Results"])
            found = [*message.get_all("Received", []), *message.get_all("X-Originating-IP", [])]
            traces[name] = " ".join(map(str, found))
    finally:
        deployed_lab.on(
            host, f"cat > {path} && postfix -c /etc/{sending.instance} reload", stdin=hidden
        )
    for word in ("client.test", "app.internal", "10.0.0.1"):
        assert word in traces["keep"]
        assert word not in traces["hide"]


def test_a_judge_that_hangs_lets_nothing_through_and_comes_back(deployed_lab: DeployedLab) -> None:
    hosts = (deployed_lab.eu, deployed_lab.us)
    process = f"systemctl show -P MainPID {JUDGE}"
    before = {host: deployed_lab.on(host, process) for host in hosts}
    clients = {host: connected(deployed_lab, host, 465) for host in hosts}
    for client in clients.values():
        log_in(deployed_lab, client, "orders")
        assert client.mail(SENDER)[0] == client.rcpt("x@inbox.test")[0] == 250
        assert client.docmd("DATA")[0] == 354
    for host in hosts:
        deployed_lab.on(host, f"systemctl kill -s STOP {JUDGE}")
    for client in clients.values():
        client.send((text_to("x@inbox.test") + "\r\n.\r\n").encode())
    for client in clients.values():
        # The watchdog's time, which is less than Postfix would wait.
        assert client.sock
        client.sock.settimeout(180)
        code, text = client.getreply()
        assert code == 451, text
        client.close()
    for host in hosts:
        until(lambda: deployed_lab.on(host, process) not in (before[host], "0\n"), "a new judge")  # noqa: B023
        recipient = f"again-{uuid.uuid4().hex}@inbox.test"

        def accepted(host: str = host, recipient: str = recipient) -> bool:
            # While the judge is away a login gets 454, too.
            with contextlib.suppress(smtplib.SMTPException):
                with connected(deployed_lab, host, 465) as smtp:
                    log_in(deployed_lab, smtp, "orders")
                    return deliver(smtp, text_to(recipient), recipient)[0] == 250
            return False

        until(accepted, "mail is taken again")
        assert "dkim=pass" in str(arrived(deployed_lab, recipient)["Authentication-Results"])
