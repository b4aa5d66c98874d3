"""Content filtering: what is refused and marked, and what happens while a scanner is away."""

from __future__ import annotations

import email.utils
import io
import re
import smtplib
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet.host.scanning import EICAR, GTUBE
from tests.lab.test_mail import LabSmtp, arrived, bounced, inbound
from tests.lab.test_submission import connected, deliver, log_in, refusal
from tests.lab.test_verify import change_dns

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
# The lab's marketing stream is scanned in full, its transactional one is not, and inbound is.
LOGINS = {"marketing": "newsletter", "transactional": "orders"}
FROM = {"marketing": "news.shop.test", "transactional": "shop.test"}
UNSCANNED = 'logins = ["orders"]\n'
# Another way to scan for the other stream, so that one deploy serves for both.
PASSING = {
    "full": [(UNSCANNED, f'{UNSCANNED}scan = "full"\non_scanner_failure = "pass"\n')],
    "virus": [
        (UNSCANNED, f'{UNSCANNED}scan = "virus"\non_scanner_failure = "pass"\n'),
        ('kind = "marketing"\nscan = "full"\n', 'kind = "marketing"\nscan = "virus"\n'),
    ],
}
INBOUND = '    domains=["shop.test"],\n'
# Where a mail is called unscanned.
LOGS = {
    "full": ("amavis", "UNCHECKED"),
    "virus": ("mailfleet-scan-virus-pass", "No clamd server appears to be available"),
}
SCANNERS = ["clamav-daemon.service", "amavis.service", "the milter"]
PATIENCE = 240.0
# 454 is what 451 is called in reply to a login (RFC 4954 §6).
LATER = (451, 454)


def text(domain: str, recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Shop <shop@{domain}>"
    message["To"] = recipient
    message["Subject"] = "Your order"
    message["Date"] = email.utils.formatdate()
    message["Message-ID"] = f"<{uuid.uuid4().hex}@{domain}>"
    message.set_content("Hello, this is about your order. Thank you for it.\n")
    return message


def plain(message: EmailMessage) -> None:
    message.set_content(EICAR)


def attached(message: EmailMessage) -> None:
    message.add_attachment(EICAR.encode(), "application", "octet-stream", filename="invoice.com")


def zipped(message: EmailMessage) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/invoice.com", EICAR)
    message.add_attachment(archive.getvalue(), "application", "zip", filename="invoice.zip")


def nested(message: EmailMessage) -> None:
    inner = text("elsewhere.test", "somebody@elsewhere.test")
    zipped(inner)
    message.add_attachment(inner)


VIRUSES = {"plain": plain, "attached": attached, "zipped": zipped, "nested": nested}


def submit(
    deployed: DeployedLab, host: str, stream: str, change: Callable[[EmailMessage], None] | None
) -> tuple[int, str, str]:
    """Code and text of the reply to a new message, and its recipient."""
    recipient = f"scan-{uuid.uuid4().hex}@inbox.test"
    message = text(FROM[stream], recipient)
    if change:
        change(message)
    with connected(deployed, host, 465, stream) as smtp:
        try:
            log_in(deployed, smtp, LOGINS[stream])
        except smtplib.SMTPAuthenticationError as error:
            # Without its milter Postfix says "try again later" to whatever comes first.
            return error.smtp_code, str(error.smtp_error), recipient
        sender = f"bounces@bounce.{FROM[stream]}"
        return (*answer(smtp, message, recipient, sender), recipient)


def receive(
    deployed: DeployedLab, host: str, change: Callable[[EmailMessage], None] | None
) -> tuple[int, str, str]:
    """The same for inbound mail from elsewhere."""
    recipient = f"scan-{uuid.uuid4().hex}@shop.test"
    message = text("inbox.test", recipient)
    if change:
        change(message)
    with inbound(deployed, str(deployed.fleet.host(host).addresses[0])) as smtp:
        return (*answer(smtp, message, recipient, "somebody@inbox.test"), recipient)


def answer(smtp: LabSmtp, message: EmailMessage, recipient: str, sender: str) -> tuple[int, str]:
    """The first reply that refuses the envelope, or else the one to the message."""
    code, reply = refusal(smtp, sender, recipient)
    if code:
        return code, reply
    smtp.rset()
    wire = message.as_bytes().decode("ascii").replace("\n", "\r\n")
    return deliver(smtp, wire, recipient, sender)


def spam(message: EmailMessage) -> None:
    message.set_content(f"Hello.\n{GTUBE}\n")


@pytest.mark.parametrize("change", VIRUSES.values(), ids=VIRUSES)
def test_a_virus_is_refused(
    deployed_lab: DeployedLab, host: str, change: Callable[[EmailMessage], None]
) -> None:
    for code, reply, _ in (
        submit(deployed_lab, host, "marketing", change),
        receive(deployed_lab, host, change),
    ):
        assert code == 550, reply
        assert "contains the virus Eicar-Test-Signature" in reply


def test_submitted_spam_is_refused(deployed_lab: DeployedLab, host: str) -> None:
    code, reply, _ = submit(deployed_lab, host, "marketing", spam)
    assert code == 550, reply
    assert "looks like spam" in reply


def test_received_spam_is_marked(deployed_lab: DeployedLab, host: str) -> None:
    code, reply, recipient = receive(deployed_lab, host, spam)
    assert code == 250, reply
    marked = bounced(deployed_lab, "shop.test", recipient, (host,))
    assert "\nX-Spam-Flag: YES\n" in marked
    assert "GTUBE" in marked.split("X-Spam-Status: Yes")[1].split("\n\n")[0]
    code, reply, recipient = receive(deployed_lab, host, None)
    assert code == 250, reply
    clean = bounced(deployed_lab, "shop.test", recipient, (host,))
    assert "\nX-Spam-Flag: YES\n" not in clean
    assert "\nX-Spam-Status: No" in clean


def as_it_was_written(message: EmailMessage) -> None:
    assert [name for name in message if name.startswith(("X-Spam", "X-Virus", "X-Amavis"))] == []
    assert not re.search("amavis|clamav", str(message.items()))
    assert "dkim=pass" in str(message["Authentication-Results"])


def test_a_clean_submission_arrives_as_it_was_written(deployed_lab: DeployedLab, host: str) -> None:
    code, reply, recipient = submit(deployed_lab, host, "marketing", None)
    assert code == 250, reply
    as_it_was_written(arrived(deployed_lab, recipient))


def test_a_stream_that_does_not_ask_is_not_scanned(deployed_lab: DeployedLab, host: str) -> None:
    code, reply, recipient = submit(deployed_lab, host, "transactional", attached)
    assert code == 250, reply
    arrived(deployed_lab, recipient)


def link(domain: str) -> Callable[[EmailMessage], None]:
    return lambda message: message.set_content(f"Hello, see https://{domain}/order for more.\n")


def test_a_listed_link_counts_and_a_list_that_refuses_is_unknown(
    deployed_lab: DeployedLab, host: str
) -> None:
    def tests_of(domain: str) -> str:
        code, reply, recipient = receive(deployed_lab, host, link(domain))
        assert code == 250, reply
        message = bounced(deployed_lab, "shop.test", recipient, (host,))
        return message.split("X-Spam-Status:")[1].split("autolearn")[0]

    assert "MAILFLEET_DBL=2.5" in tests_of("listed-shop.com")
    unlisted = tests_of("unlisted-shop.com")
    assert "MAILFLEET_DBL" not in unlisted, unlisted
    # What Spamhaus answers to public resolvers, and what a list does that wants no questions.
    entry = "dbltest.com.dbl.lists.core.test"
    try:
        for answer in ("127.255.255.254", ""):
            change_dns(deployed_lab, entry, "A", answer)
            awaited_text(lambda: tests_of("unlisted-shop.com"), "MAILFLEET_DBL_UNKNOWN=0.001")
    finally:
        change_dns(deployed_lab, entry, "A", "127.0.1.2")
    # A submission asks nobody.
    assert submit(deployed_lab, host, "marketing", link("listed-shop.com"))[0] == 250


@pytest.mark.parametrize("scanner", SCANNERS)
def test_without_a_scanner_mail_waits_at_the_client(
    deployed_lab: DeployedLab, host: str, scanner: str
) -> None:
    with stopped(deployed_lab, host, scanner, "defer", "inbound"):
        for change in (None, attached):
            assert submit(deployed_lab, host, "marketing", change)[0] in LATER
            assert receive(deployed_lab, host, change)[0] in LATER
        # Nobody else notices.
        assert submit(deployed_lab, host, "transactional", None)[0] == 250
    awaited(lambda: submit(deployed_lab, host, "marketing", None)[0])
    awaited(lambda: receive(deployed_lab, host, None)[0])
    assert submit(deployed_lab, host, "marketing", attached)[0] == 550


def test_a_killed_scanner_comes_back_by_itself(deployed_lab: DeployedLab, host: str) -> None:
    units = ["clamav-daemon", "amavis", "mailfleet-scan-defer", "mailfleet-scan-inbound"]
    # More often than systemd restarts a unit by default.
    for _ in range(6):
        for unit in units:
            deployed_lab.on(host, f"systemctl kill --kill-whom=main -s KILL {unit} || :")
        awaited(lambda: submit(deployed_lab, host, "marketing", None)[0])
    assert submit(deployed_lab, host, "marketing", attached)[0] == 550
    awaited(lambda: receive(deployed_lab, host, None)[0])


@pytest.fixture(scope="module", params=PASSING)
def passing(
    deployed_lab: DeployedLab,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[DeployedLab, str]]:
    """The lab with a transactional stream that is scanned if there is a scanner, and for what."""

    def change(text: str) -> str:
        for before, after in PASSING[request.param]:
            assert before in text
            text = text.replace(before, after)
        return text

    inventory = deployed_lab.variant(tmp_path_factory.mktemp("passing"), change)
    if request.param == "virus":
        text = inventory.read_text()
        assert INBOUND in text
        inventory.write_text(text.replace(INBOUND, f'{INBOUND}    inbound_scan="virus",\n'))
    try:
        deployed_lab.pyinfra("deploys/mta.py", inventory=str(inventory))
        yield deployed_lab, request.param
    finally:
        deployed_lab.repair()


@pytest.mark.parametrize("host", ["eu", "us"])
def test_a_stream_may_prefer_unscanned_mail_to_none(
    passing: tuple[DeployedLab, str], host: str
) -> None:
    deployed, scan = passing
    name = str(getattr(deployed, host))
    for stream in FROM:
        code, reply, _ = submit(deployed, name, stream, attached)
        assert code == 550, reply
        assert "contains the virus Eicar-Test-Signature" in reply
        code, reply, recipient = submit(deployed, name, stream, None)
        assert code == 250, reply
        as_it_was_written(arrived(deployed, recipient))
    prefix = "virus-" if scan == "virus" else ""
    # Where viruses alone are looked for, no mail meets amavis.
    for scanner in SCANNERS if scan == "full" else ["clamav-daemon.service", "the milter"]:
        with stopped(deployed, name, scanner, f"{prefix}pass"):
            code, reply, recipient = submit(deployed, name, "transactional", attached)
            assert code == 250, f"{scanner}: {reply}"
            if scanner != "the milter":
                # The other stream keeps to its own choice.
                assert submit(deployed, name, "marketing", attached)[0] in LATER
        arrived(deployed, recipient)
        awaited(lambda: submit(deployed, name, "marketing", None)[0])
    if scan == "virus":
        inbound_is_scanned_for_viruses_alone(deployed, name)
        with stopped(deployed, name, "the milter", "virus-defer"):
            assert submit(deployed, name, "marketing", attached)[0] in LATER
        awaited(lambda: submit(deployed, name, "marketing", attached)[0], 550)
    unit, words = LOGS[scan]
    assert words in deployed.on(name, f"journalctl -q -u {unit} --since=-10min -o cat")
    awaited(lambda: submit(deployed, name, "transactional", attached)[0], 550)


def inbound_is_scanned_for_viruses_alone(deployed: DeployedLab, host: str) -> None:
    """Viruses are refused, what cannot be scanned to its end is marked, and spam is not."""
    code, reply, _ = receive(deployed, host, attached)
    assert code == 550, reply
    assert "contains the virus Eicar-Test-Signature" in reply
    for change, marked in ((spam, False), (deep, True)):
        code, reply, recipient = receive(deployed, host, change)
        assert code == 250, reply
        found = bounced(deployed, "shop.test", recipient, (host,))
        assert ("\nX-Spam-Flag: YES\n" in found) == marked, found[:4000]
        assert ("Limits.Exceeded." in found) == marked


def deep(message: EmailMessage) -> None:
    """More levels than clamd looks into (MaxRecursion)."""
    inner = EmailMessage()
    attached(inner)
    for _ in range(60):
        outer = EmailMessage()
        outer.add_attachment(inner)
        inner = outer
    message.set_content("See the attachment.\n")
    message.add_attachment(inner)


@contextmanager
def stopped(deployed: DeployedLab, host: str, scanner: str, *milters: str) -> Iterator[None]:
    """Within: a scanner, or the milters of these names, are stopped."""
    names = " ".join(f"mailfleet-scan-{name}" for name in milters)
    units = names if scanner == "the milter" else scanner
    deployed.on(host, f"systemctl stop {units}")
    try:
        yield
    finally:
        deployed.on(host, f"systemctl start {units}")


def awaited_text(text: Callable[[], str], wanted: str) -> None:
    """Return once a text has the words; the resolver keeps what it knows for some seconds."""
    until = time.monotonic() + PATIENCE
    while wanted not in (found := text()):
        assert time.monotonic() < until, f"{found} has no {wanted}"
        time.sleep(1)


def awaited(code: Callable[[], int], wanted: int = 250) -> None:
    """Return once a reply is the wanted one; until then it may be 451 only."""
    until = time.monotonic() + PATIENCE
    while (found := code()) != wanted:
        assert found in LATER
        assert time.monotonic() < until, f"no {wanted} within {PATIENCE:.0f} s"
        # The stream lets an application log in only so often in a minute.
        time.sleep(1)
