"""Recipients that a stream takes and refuses, and the size of what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_mail import LabSmtp
from tests.lab.test_submission import SENDER, connected, log_in

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

GOOD = "x@inbox.test"
# In a zone that exists, so that its name server says so.
UNKNOWN = "x@no-such-name.inbox.test"


@pytest.fixture(scope="module", params=["eu", "us"])
def host(deployed_lab: DeployedLab, request: pytest.FixtureRequest) -> str:
    return str(getattr(deployed_lab, request.param))


@pytest.fixture
def client(deployed_lab: DeployedLab, host: str) -> Iterator[LabSmtp]:
    """A session that is logged in."""
    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "orders")
        yield smtp


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
