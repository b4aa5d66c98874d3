"""Odd mail of every kind through submission: refused with a reason, or good for three judges.

The judges are dkimpy, Mail::DKIM and rspamd, which is the lab's receiver. It does not offer 8BITMIME
here, which it must not matter to a signature.
"""

from __future__ import annotations

import email
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.lab import addresses, namespaces
from roles import opendkim
from tests.lab.message_kinds import FROM, HEADERS, Kind
from tests.lab.test_mail import DEADLINE, LabSmtp
from tests.lab.test_submission import SENDER, connected, log_in
from tests.lab.text_kinds import TEXTS

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

KINDS = (*FROM, *HEADERS, *TEXTS)
FOLDER = Path(__file__).parent
_REFUSALS = 8  # after ten in a session smtpd begins to wait


@pytest.fixture(scope="module")
def seven_bits(deployed_lab: DeployedLab) -> Iterator[None]:
    """The receiver does not offer 8BITMIME."""
    keywords = "smtpd_discard_ehlo_keywords"
    deployed_lab.on("receiver", f"postconf -e {keywords}=8bitmime && postfix reload")
    yield
    deployed_lab.on("receiver", f"postconf -# {keywords} && postfix reload")


def test_every_kind_of_mail(deployed_lab: DeployedLab, host: str, seven_bits: None) -> None:
    token = uuid.uuid4().hex
    replies = submitted(deployed_lab, host, token)
    wrong = [
        f"{kind.name}: {code} {text}, expected {kind.code} {kind.text}"
        for kind, (code, text) in zip(KINDS, replies, strict=True)
        if code != kind.code or kind.text not in text
    ]
    assert not wrong, "\n".join(wrong)
    files = arrived(deployed_lab, token, sum(kind.code == 250 for kind in KINDS))
    messages = {number: parsed(path) for number, path in files.items()}
    judges = {
        "rspamd": {n for n, m in messages.items() if passed(m)},
        "dkimpy": dkimpy(deployed_lab, files),
        "Mail::DKIM": mail_dkim(deployed_lab, files),
    }
    for judge, good in judges.items():
        bad = [KINDS[n].name for n in files if n not in good]
        assert not bad, f"{judge} finds no good signature: {bad}"
    lost = [KINDS[n].name for n, m in messages.items() if KINDS[n].says not in texts(m)]
    assert not lost, f"not what was sent: {lost}"
    for number, message in messages.items():
        # Neither the application's host nor what it says of its own network leaves.
        trace = " ".join(message.get_all("Received", []))
        assert "client.test" not in trace, KINDS[number].name
        assert "10.0.0.1" not in trace, KINDS[number].name
        assert "SMTPSA" in trace, KINDS[number].name


def test_nothing_can_be_put_beside_what_was_signed(
    deployed_lab: DeployedLab, host: str, tmp_path: Path
) -> None:
    token = uuid.uuid4().hex
    number = next(n for n, kind in enumerate(KINDS) if kind.name == "a bulk mail's headers")
    with session(deployed_lab, host) as smtp:
        assert offered(smtp, KINDS[number], f"k{number}-{token[:30]}@inbox.test")[0] == 250
    sent = arrived(deployed_lab, token, 1, only=number)[number].read_bytes()
    variants = {0: sent}
    for name in (*opendkim.OVERSIGNED, "List-Unsubscribe-Post"):
        variants[len(variants)] = name.encode() + b": x\n" + sent
    for before in (b"shop.test/u?i=1", b"=One-Click", b"a:b:c:shop", b"X-CSA-Complaints: a@"):
        assert before in sent
        variants[len(variants)] = sent.replace(before, before + b"x")
    files = {}
    for key, content in variants.items():
        files[key] = tmp_path / str(key)
        files[key].write_bytes(content)
    assert dkimpy(deployed_lab, files) == {0}
    assert mail_dkim(deployed_lab, files) == {0}


def submitted(deployed: DeployedLab, host: str, token: str) -> list[tuple[int, str]]:
    """The reply to each kind: the first refusal, or that to the message."""
    replies: list[tuple[int, str]] = []
    smtp, refused = session(deployed, host), 0
    for number, kind in enumerate(KINDS):
        recipient = f"{kind.local_part}k{number}-{token[:30]}@inbox.test"
        reply = offered(smtp, kind, recipient)
        replies.append(reply)
        refused = refused + 1 if reply[0] != 250 else 0
        if refused == _REFUSALS:
            smtp.quit()
            smtp, refused = session(deployed, host), 0
        elif reply[0] != 250:
            smtp.rset()
    smtp.quit()
    return replies


def session(deployed: DeployedLab, host: str) -> LabSmtp:
    smtp = connected(deployed, host, 465)
    log_in(deployed, smtp, "orders")
    return smtp


def offered(smtp: LabSmtp, kind: Kind, recipient: str) -> tuple[int, str]:
    for command, argument in (
        ("MAIL", " ".join((f"FROM:<{SENDER}>", *kind.mail_options))),
        ("RCPT", " ".join((f"TO:<{recipient}>", *kind.rcpt_options))),
    ):
        code, text = smtp.docmd(command, argument)
        if code != 250:
            return code, text.decode()
    assert smtp.docmd("DATA")[0] == 354
    stuffed = kind.content.replace(b"\r\n.", b"\r\n..")
    smtp.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    code, text = smtp.getreply()
    return code, text.decode()


def arrived(
    deployed: DeployedLab, token: str, count: int, only: int | None = None
) -> dict[int, Path]:
    """The files of the mail of this run by the number of its kind, once all of it has come."""
    folder = lab.files(deployed.name).mailboxes / "new"
    found: dict[int, Path] = {}
    seen: set[Path] = set()
    until = time.monotonic() + 2 * DEADLINE
    while len(found) < count and time.monotonic() < until:
        for path in set(folder.iterdir()) - seen:
            seen.add(path)
            with path.open("rb") as file:
                head = file.read(2000).decode("ascii", "replace")
            to = head.partition("Delivered-To: ")[2].partition("@")[0]
            if token[:30] in to:
                found[int(to.lstrip("a").removeprefix("k").partition("-")[0])] = path
        time.sleep(0.2)
    wanted = [n for n, k in enumerate(KINDS) if k.code == 250 and only in (None, n)]
    missing = [KINDS[n].name for n in wanted if n not in found]
    assert not missing, f"these never arrived: {missing}"
    return found


def parsed(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def passed(message: EmailMessage) -> bool:
    results = str(message["Authentication-Results"])
    return "dkim=pass" in results and "dmarc=pass" in results and "header.d=shop.test" in results


def texts(message: EmailMessage) -> str:
    found = []
    for part in message.walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            charset = part.get_content_charset("utf-8").replace("unknown-8bit", "latin-1")
            found.append(content.decode(charset, "replace"))
    return "\n".join(found)


def dkimpy(deployed: DeployedLab, files: dict[int, Path]) -> set[int]:
    """Those whose signature dkimpy finds good; see tests/lab/judges.py."""
    question = {"lab": deployed.name, "domains": [], "parked": [], "spf": [],
                "mail": [str(path) for path in files.values()]}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.judges"], cwd=FOLDER.parents[1], input=json.dumps(question),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {n for n, good in zip(files, json.loads(done.stdout)["dkim"], strict=True) if good}


def mail_dkim(deployed: DeployedLab, files: dict[int, Path]) -> set[int]:
    """Those whose signature of the stream Mail::DKIM finds good."""
    network = namespaces.handle(namespaces.internet(deployed.name))
    done = subprocess.run(
        ["nsenter", f"--net={network}", "perl", str(FOLDER / "mail_dkim.pl"), str(addresses.RESOLVER[0])],
        input="".join(f"{path}\n" for path in files.values()), capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return {n for n, line in zip(files, lines, strict=True) if " shop.test pass" in line}
