"""What a host's scanners say to a virus, to spam and to a clean mail; nothing of it is queued."""

from __future__ import annotations

import email.utils
import itertools
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailfleet.host.scanning import EICAR, GTUBE, Milter, inbound_milter, stream_milter
from mailfleet.model import Fleet, Host
from mailfleet.verify import milter_session

# The virus is an attachment: ClamAV knows its test file only where a file begins with it.
_ATTACHED = """\
--part\r
Content-Type: text/plain\r
\r
A test of the content filter. See the attachment.\r
--part\r
Content-Type: application/octet-stream; name="test.com"\r
Content-Disposition: attachment; filename="test.com"\r
\r
{text}\r
--part--\r
"""


def _nested(levels: int) -> str:
    """Parts within parts, more than any scanner looks into (ClamAV's MaxRecursion)."""
    names = ["part", *(f"part{number}" for number in range(levels))]
    begin = "".join(
        f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"
        for outer, inner in itertools.pairwise(names)
    )
    end = "".join(f"--{name}--\r\n" for name in reversed(names))
    return f"{begin}--{names[-1]}\r\n\r\nA test of the content filter.\r\n{end}"


_BODIES = {
    "virus": _ATTACHED.format(text=EICAR),
    "spam": _ATTACHED.format(text="nothing").replace("A test", f"{GTUBE}\r\nA test"),
    "clean": _ATTACHED.format(text="nothing"),
    "limit": _nested(30),
}


@dataclass(frozen=True)
class Answer:
    """What the scanner of `service` ("inbound", "stream orders") said to a `kind` of mail."""

    service: str
    milter: Milter
    kind: str
    result: dict[str, Any]

    @property
    def said(self) -> str:
        """The verdict in words, for messages."""
        error, reply = self.result["error"], self.result["reply"]
        if error:
            return f"does not answer ({error})"
        return f"answers {reply}" if reply else f"says {self.result['verdict']}"

    @property
    def marked(self) -> bool:
        return ["X-Spam-Flag", "YES"] in self.result["headers"]

    @property
    def accepted(self) -> bool:
        return self.result["verdict"] == "accept" and not self.result["error"]

    @property
    def refused(self) -> bool:
        return str(self.result["reply"]).startswith("550 ")


def services(fleet: Fleet, host: Host) -> list[tuple[str, Milter]]:
    """What is scanned on a host, with its milter."""
    scanned = [("inbound", inbound_milter(host))]
    scanned += [(f"stream {s.name}", stream_milter(s)) for _, s in fleet.host_streams(host)]
    return [(name, milter) for name, milter in scanned if milter]


def ask(fleet: Fleet, host: Host, run: Callable[[str], str]) -> list[Answer]:
    """Show all kinds of mail to all scanners of a host, from the host itself."""
    wanted = [(name, m, kind) for name, m in services(fleet, host) for kind in _BODIES]
    asks = [_ask(milter, kind, host) for _, milter, kind in wanted]
    if not asks:
        return []
    source = Path(milter_session.__file__).read_text(encoding="utf-8")
    output = run(f"python3 -c {shlex.quote(source)} {shlex.quote(json.dumps(asks))}")
    answers = json.loads(output.splitlines()[-1])
    return [Answer(*question, result) for question, result in zip(wanted, answers, strict=True)]


def virus_problems(answers: list[Answer]) -> list[str]:
    """Scanners that let the test virus of eicar.org through, or refuse mail without one."""
    problems = []
    for answer in answers:
        if answer.kind == "virus" and not answer.refused:
            problems.append(f"{answer.service}: the scanner {answer.said} to EICAR, expected 550")
        if answer.kind == "clean" and not answer.accepted:
            problems.append(
                f"{answer.service}: the scanner {answer.said} to a clean mail, expected accept"
            )
    return problems


def spam_problems(answers: list[Answer]) -> list[str]:
    """Scanners that do not refuse (streams) or mark (inbound) SpamAssassin's test message."""
    problems = []
    for answer in answers:
        if "FULL" not in answer.milter.banks:
            continue
        if (
            answer.kind == "spam"
            and answer.service == "inbound"
            and not (answer.accepted and answer.marked)
        ):
            problems.append(f"inbound: the scanner {answer.said} to GTUBE without X-Spam-Flag: YES")
        if answer.kind == "spam" and answer.service != "inbound" and not answer.refused:
            problems.append(f"{answer.service}: the scanner {answer.said} to GTUBE, expected 550")
        if answer.kind == "clean" and answer.marked:
            problems.append(f"{answer.service}: the scanner marks a clean mail as spam")
    return problems


def limit_problems(answers: list[Answer]) -> list[str]:
    """Scanners that take a mail for clean that they did not look into to its end."""
    problems = []
    for answer in answers:
        if answer.kind != "limit":
            continue
        what = f"{answer.service}: the scanner {answer.said} to a mail with more levels than it looks into"
        if answer.service == "inbound" and not (answer.accepted and answer.marked):
            problems.append(f"{what}, expected it accepted with X-Spam-Flag: YES")
        if answer.service != "inbound" and not answer.refused:
            problems.append(f"{what}, expected 550")
    return problems


def _ask(milter: Milter, kind: str, host: Host) -> dict[str, Any]:
    return {
        "socket": milter.socket,
        "daemon_name": ",".join(milter.banks),
        "sender": f"verify@{host.name}",
        "recipient": f"verify@{host.name}",
        "headers": [
            ("From", f"verify@{host.name}"),
            ("To", f"verify@{host.name}"),
            ("Subject", "A test"),
            ("Date", email.utils.formatdate()),
            ("Message-ID", f"<verify-{kind}@{host.name}>"),
            ("MIME-Version", "1.0"),
            ("Content-Type", "multipart/mixed; boundary=part"),
        ],
        "body": _BODIES[kind],
    }
