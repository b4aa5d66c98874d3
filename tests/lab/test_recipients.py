"""Recipients that a stream takes and refuses, and the size of what it takes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_mail import LabSmtp
from tests.lab.test_submission import SENDER
from tests.lab.test_tls_outbound import outcome
from tests.lab.tls_receivers import ZONE, update_dns

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

GOOD = "x@inbox.test"
# In a zone that exists, so that its name server says so.
UNKNOWN = "x@no-such-name.inbox.test"


def test_of_several_recipients_only_the_unknown_domain_is_refused(client: LabSmtp) -> None:
    assert client.mail(SENDER)[0] == 250
    replies = [client.rcpt(recipient) for recipient in (GOOD, UNKNOWN, "y@inbox.test")]
    assert [code for code, _ in replies] == [250, 550, 250]
    assert replies[1][1].startswith(b"5.1.2 ")
    code, text = client.data("From: a@shop.test\r\nTo: x@inbox.test\r\n\r\nHi.\r\n")
    assert code == 250, text


def test_a_domain_that_cannot_be_asked_for_is_put_off(
    deployed_lab: DeployedLab, host: str, client: LabSmtp
) -> None:
    deployed_lab.on(host, "systemctl stop unbound")
    try:
        assert client.mail(SENDER)[0] == 250
        code, text = client.rcpt("x@never-asked-before.test")
    finally:
        deployed_lab.on(host, "systemctl start unbound")
    assert code == 450, text


@pytest.mark.parametrize(
    "domain",
    [
        "[127.0.0.1]",
        "[169.254.169.254]",
        "[198.51.100.10]",
        "[203.0.113.11]",
        "[IPv6:::1]",
        "[IPv6:fe80::1]",
        "[IPv6:2001:db8:e0::10]",
        "[::1]",
        "[192.0.2.25",
        "192.0.2.25",
    ],
)
def test_no_mail_goes_to_an_address_literal(client: LabSmtp, domain: str) -> None:
    assert client.mail(SENDER)[0] == 250
    code, text = client.rcpt(f"x@{domain}")
    assert 500 <= code < 600, text
    assert text.startswith(b"5.1."), text


@pytest.mark.parametrize("local", ["a" * 65, '"a@' + "b" * 63 + '"', '"a@b c@' + "d" * 60 + '"'])
def test_a_local_part_of_more_than_64_octets_is_refused(client: LabSmtp, local: str) -> None:
    for sender, recipient, code in (
        (SENDER, f"{local}@inbox.test", b"5.1.3 "),
        (f"{local}@shop.test", GOOD, b"5.1.7 "),
    ):
        assert client.mail(sender)[0] == 250
        reply = client.rcpt(recipient)
        assert (reply[0], reply[1][:6]) == (550, code), reply
        client.rset()


NOWHERE = {
    "loopback": ("A", "127.0.0.1"),
    "loopback6": ("AAAA", "::1"),
    "mapped": ("AAAA", "::ffff:127.0.0.1"),
    "this": ("A", "0.0.0.0"),  # noqa: S104 - nobody binds to it
    "metadata": ("A", "169.254.169.254"),
    "linklocal": ("AAAA", "fe80::1"),
    "multicast": ("A", "224.0.0.251"),
}


@pytest.fixture(scope="module")
def nowhere(deployed_lab: DeployedLab) -> Iterator[None]:
    """Domains whose mail server is at an address that nobody may make us connect to."""
    records: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, (kind, value) in NOWHERE.items():
        records[f"mx-{name}"] = ((kind, value),)
        records[name] = (("MX", f"10 mx-{name}.{ZONE}."),)
        records[f"second-{name}"] = (("MX", f"10 mx.{ZONE}."), ("MX", f"20 mx-{name}.{ZONE}."))
    update_dns(deployed_lab, records)
    yield
    update_dns(deployed_lab, dict.fromkeys(records, ()))


@pytest.mark.parametrize("name", NOWHERE)
def test_no_mail_goes_to_a_mail_server_at_an_address_of_no_network(
    client: LabSmtp, nowhere: None, name: str
) -> None:
    assert client.mail(SENDER)[0] == 250
    # As MX, behind a good one, and without an MX record.
    for domain in (name, f"second-{name}", f"mx-{name}"):
        code, text = client.rcpt(f"x@{domain}.{ZONE}")
        assert (code, text[:5]) == (550, b"5.4.4"), text


def test_mail_to_a_domain_that_names_this_host_is_not_taken_in(
    deployed_lab: DeployedLab, host: str, client: LabSmtp
) -> None:
    """Its own port 25 refuses it as anybody's, and no instance takes it for a mail of its own."""
    own = deployed_lab.fleet.host(host).ipv4
    recipient = f"x-{uuid.uuid4().hex}@own.{ZONE}"
    update_dns(deployed_lab, {"own": (("MX", f"10 mx-own.{ZONE}."),), "mx-own": (("A", str(own)),)})
    try:
        assert client.mail(SENDER)[0] == 250
        assert client.rcpt(recipient)[0] == 250
        assert client.data(f"From: a@shop.test\r\nTo: {recipient}\r\n\r\nHi.\r\n")[0] == 250
        _, line = outcome(deployed_lab, host, recipient, "status=")
    finally:
        update_dns(deployed_lab, {"own": (), "mx-own": ()})
    assert "status=bounced" in line
    assert "Relay access denied" in line


def test_the_size_that_is_announced_is_taken(client: LabSmtp) -> None:
    client.ehlo()
    size = int(client.esmtp_features["size"])
    start = "From: a@shop.test\r\nTo: x@inbox.test\r\nSubject: size\r\n\r\n"
    # Lines as base64 has them: Postfix stores each with a mark of its own.
    lines = (size - len(start)) // 78
    body = ("x" * 76 + "\r\n") * (lines - 1)
    text = start + body + "y" * (size - len(start) - len(body) - 2) + "\r\n"
    assert len(text) == size
    for message, expected in ((text, 250), (text[:-2] + "z\r\n", 552)):
        assert client.mail(SENDER, [f"SIZE={len(message)}"])[0] == expected
        if expected == 250:
            assert client.rcpt("discard@inbox.test")[0] == 250
            code, reply = client.data(message)
            assert code == 250, reply
