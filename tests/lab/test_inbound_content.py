"""What strangers write at port 25: results that they forge, and mail that keeps scanners busy."""

from __future__ import annotations

import email
import email.policy
import io
import uuid
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from mailfleet.host.scanning import EICAR
from mailfleet.project.lab_environment import Lab
from tests.lab.test_mail import LabSmtp, bounced, inbound

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

SENDER = "stranger@inbox.test"
FORGED = (
    "Authentication-Results: HOST; spf=pass; dkim=pass header.d=bank.example; dmarc=pass",
    "authentication-results : HOST;\r\n dmarc=pass header.from=bank.example",
    "Authentication-Results: mx.google.example; dkim=pass",
    "ARC-Authentication-Results: i=1; HOST; dmarc=pass",
    "Received-SPF: pass (HOST: bank.example)",
    "Delivered-To: mailbox@shop.test",
    "X-Original-To: boss@shop.test",
    "X-Virus-Scanned: clean at HOST",
    "X-Spam-Flag: NO",
    "X-Spam-Status: No, score=-100",
)


def deliver(deployed: DeployedLab, host: str, data: bytes) -> str:
    """Bring a message to a host's port 25; the reply."""
    with inbound(deployed, str(deployed.fleet.host(host).addresses[0])) as smtp:
        smtp.ehlo("stranger.inbox.test")
        smtp.mail(SENDER)
        assert smtp.rcpt("orders@shop.test")[0] == 250
        code, text = smtp.data(data)
        return f"{code} {text.decode()}"


def kept(deployed: DeployedLab, host: str, text: str) -> EmailMessage:
    """The mail in the maildir that contains `text`."""
    found = bounced(deployed, "shop.test", text, (host,))
    message = email.message_from_string(found, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_forged_results_are_taken_out_and_quoted_ones_stay(
    deployed_lab: DeployedLab, host: str
) -> None:
    token = uuid.uuid4().hex
    forged = "\r\n".join(FORGED).replace("HOST", host)
    quoted = f"From: a@shop.test\r\nAuthentication-Results: {host}; dkim=fail\r\n\r\nHello.\r\n"
    data = (
        f"From: {SENDER}\r\nTo: orders@shop.test\r\nSubject: {token}\r\n{forged}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=part\r\n\r\n"
        "--part\r\n\r\nReturned.\r\n--part\r\nContent-Type: message/rfc822\r\n\r\n"
        f"{quoted}\r\n--part--\r\n"
    )
    assert deliver(deployed_lab, host, data.encode()).startswith("250 ")
    message = kept(deployed_lab, host, token)
    top = "\n".join(f"{name}: {value}" for name, value in message.items())
    assert "bank.example" not in top
    assert "google" not in top
    assert "boss@" not in top
    assert message["X-Virus-Scanned"] is None
    assert message["ARC-Authentication-Results"] is None
    # This host's own words, once each.
    assert message.get_all("Delivered-To") == ["mailbox@shop.test"]
    assert "-100" not in str(message["X-Spam-Status"])
    assert f"{host}; dkim=fail" in message.as_string()


def fields(number: int) -> str:
    return "".join(f"X-Field-{n}: a value of the field {n}\r\n" for n in range(number))


def attached(data: bytes) -> EmailMessage:
    message = EmailMessage()
    message.set_content("See the attachment.\n")
    message.add_attachment(data, maintype="application", subtype="zip", filename="invoice.zip")
    return message


def packed(data: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.zip", data)
        data = buffer.getvalue()
    return data


def nested(levels: int) -> EmailMessage:
    """EICAR below so many MIME levels."""
    inner = EmailMessage()
    inner.add_attachment(
        EICAR.encode(), maintype="application", subtype="octet-stream", filename="x.com"
    )
    for _ in range(levels):
        outer = EmailMessage()
        outer.add_attachment(inner)
        inner = outer
    return inner


# Postfix takes no field that is larger than 102,400 octets.
LARGE = "X-Large: " + "\r\n ".join(["y" * 70] * 1300) + "\r\n"
LIMITS: dict[str, Callable[[], tuple[str, EmailMessage | None]]] = {
    "20,000 header fields": lambda: (fields(20_000), attached(b"nothing")),
    "600 header fields": lambda: (fields(600), attached(b"nothing")),
    # Each field arrives cut to about 60 kB.
    "a header of 180 kB": lambda: (LARGE * 3, None),
    "17 archives": lambda: ("", attached(packed(EICAR.encode(), 17))),
    "50 MB of zeros": lambda: ("", attached(packed(bytes(50 << 20) + EICAR.encode()))),
    "60 MIME levels": lambda: ("", nested(60)),
}


def build(top: str, message: EmailMessage | None, token: str) -> bytes:
    """A mail of SENDER with further header fields; `top` are whole lines."""
    body = message or attached(b"nothing")
    data = body.as_bytes(policy=email.policy.SMTP)
    head = (
        f"From: {SENDER}\r\nTo: orders@shop.test\r\nSubject: {token}\r\nX-Token: {token}\r\n{top}"
    )
    return head.encode() + data


@pytest.mark.parametrize("kind", LIMITS)
def test_what_cannot_be_scanned_to_its_end_is_marked(
    deployed_lab: DeployedLab, host: str, kind: str
) -> None:
    token = uuid.uuid4().hex
    assert deliver(deployed_lab, host, build(*LIMITS[kind](), token)).startswith("250 ")
    message = kept(deployed_lab, host, token)
    assert message["X-Spam-Flag"] == "YES"
    assert "Limits.Exceeded." in str(message["X-Amavis-Alert"])


def test_a_virus_beside_a_limit_is_a_virus(deployed_lab: DeployedLab, host: str) -> None:
    data = build(fields(600), attached(EICAR.encode()), uuid.uuid4().hex)
    reply = deliver(deployed_lab, host, data)
    assert reply.startswith("550 5.7.1 this message contains the virus Eicar"), reply


@pytest.mark.parametrize(
    "kind", ["600 header fields", "17 archives", "50 MB of zeros", "60 MIME levels"]
)
def test_what_cannot_be_scanned_to_its_end_is_no_submission(
    deployed_lab: DeployedLab, host: str, kind: str
) -> None:
    sending, stream = next(
        pair for pair in deployed_lab.fleet.host_streams(deployed_lab.fleet.host(host))
        if pair[1].scan == "full"
    )  # fmt: skip
    address = f"a@{stream.from_domain}"
    top, message = LIMITS[kind]()
    data = build(top, message, uuid.uuid4().hex).replace(SENDER.encode(), address.encode())
    password = Lab(deployed_lab.name).secret(f"password-{stream.logins[0]}", "tests").reveal()
    with LabSmtp(deployed_lab, str(sending.addresses[0]), stream.tls_port, stream.endpoint) as smtp:
        smtp.ehlo()
        smtp.login(stream.logins[0], password)
        smtp.mail(f"b@{stream.return_path}")
        assert smtp.rcpt("limit@inbox.test")[0] == 250
        code, text = smtp.data(data)
    assert code == 550
    assert b"cannot be scanned to its end" in text
