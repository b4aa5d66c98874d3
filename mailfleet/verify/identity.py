"""What the judges of a host's streams say to mail that must not be signed; nothing of it is queued.

A short form of tests/lab/test_kinds_of_mail.py. The judges are asked on the host itself, as Postfix asks
them (`postfix.main_cf` sees that it does), so no login is needed.
"""

from __future__ import annotations

import email.utils
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailfleet.host.signing import StreamSigner, stream_signers
from mailfleet.model import Fleet, Host
from mailfleet.verify import milter_session

Headers = list[tuple[str, str]]
_STRANGER = "ceo@stranger.invalid"
_SIGNED = ("Content-Type", "multipart/signed; boundary=b")
_EIGHT_BIT = "--b\r\n\r\nGrüße\r\n--b--\r\n"


@dataclass(frozen=True)
class Question:
    """A message that a judge is asked about, and the reply that it has to begin with (empty: accepted)."""

    signer: StreamSigner
    what: str
    expected: str
    headers: Headers
    body: str = "A test of the judge.\r\n"
    signed: bool = False
    """Whether it is asked as after the signer."""

    @property
    def ask(self) -> dict[str, Any]:
        """For `milter_session`."""
        return {
            "socket": self.signer.signed_socket if self.signed else self.signer.check_socket,
            "daemon_name": "verify",
            "sender": f"verify@{self.signer.domain}",
            "recipient": f"verify@{self.signer.domain}",
            "headers": [(name, f" {value}") for name, value in self.headers],
            "body": self.body,
        }


def questions(signer: StreamSigner) -> list[Question]:
    """Those to the judge of one stream."""
    own = f"verify@{signer.domain}"
    plain = [("From", own), ("Date", email.utils.formatdate()), ("Subject", "A test")]

    def of(what: str, author: str) -> Question:
        return Question(signer, what, "550 5.", [("From", author), *plain[1:]])

    return [
        Question(signer, "from the stream", "", plain),
        of("from a stranger", _STRANGER),
        of("from a stranger in disguise", rf'(a\) "b) Boss <{_STRANGER}> (c" <{own}>'),
        of("from two authors", f"{own}, {_STRANGER}"),
        of("with the stream's address in a comment", f"{_STRANGER} ({own})"),
        Question(signer, "with two From headers", "550 5.6.0", [*plain, ("From", own)]),
        Question(signer, "with two Subject headers", "550 5.6.0", [*plain, ("Subject", "x")]),
        Question(signer, "with a stranger as Sender", "550 5.7.1", [*plain, ("Sender", _STRANGER)]),
        Question(signer, "with 8-bit text that is signed", "550 5.6.3", [*plain, _SIGNED], _EIGHT_BIT),
        Question(signer, "that nobody signed", "451 4.7.7", plain, signed=True),
        Question(
            signer, "that a stranger signed", "451 4.7.7",
            [*plain, ("DKIM-Signature", "v=1; d=stranger.invalid")], signed=True,
        ),
        Question(
            signer, "that the stream's signer signed", "",
            [*plain, ("DKIM-Signature", f"v=1; d={signer.domain}")], signed=True,
        ),
    ]  # fmt: skip


def ask(fleet: Fleet, host: Host, run: Callable[[str], str]) -> list[str]:
    """What is wrong with the answers of a host's judges; `run` runs a command on the host."""
    asked = [question for signer in stream_signers(fleet, host) for question in questions(signer)]
    if not asked:
        return []
    source = Path(milter_session.__file__).read_text(encoding="utf-8")
    given = shlex.quote(json.dumps([question.ask for question in asked]))
    answers = json.loads(run(f"python3 -c {shlex.quote(source)} {given}").splitlines()[-1])
    return problems(asked, answers)


def problems(asked: list[Question], answers: list[dict[str, Any]]) -> list[str]:
    """One line for each answer that is not as expected; one for a judge that does not answer."""
    lines: dict[str, None] = {}
    for question, answer in zip(asked, answers, strict=True):
        stream, unit = question.signer.stream, question.signer.judge
        if answer["error"]:
            lines[f"stream {stream}: {unit} does not answer ({answer['error']}): {_DO}"] = None
            continue
        reply = str(answer["reply"])
        if reply.startswith(question.expected) and bool(reply) == bool(question.expected):
            continue
        answered = f"answers {reply}" if reply else f"says {answer['verdict']}"
        expected = f"{question.expected}…" if question.expected else "accept"
        lines[
            f"stream {stream}: the judge {answered} to mail {question.what}, expected {expected}: {_DO}"
        ] = None
    return list(lines)


_DO = "deploy again; 'journalctl -u mailfleet-message@*' on the host says more"
