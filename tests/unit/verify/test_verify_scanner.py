"""How scanners' answers are judged: each that should fail does."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.host.scanning import EICAR, GTUBE, Milter
from mailfleet.verify import scanner
from mailfleet.verify.scanner import Answer
from tests.unit.host.test_scanning import NAME, fleet

pytestmark = pytest.mark.unit

INBOUND = Milter("inbound", ("INBOUND", "FULL"))
ORDERS = Milter("defer", ("OUTBOUND", "FULL"))
VIRUS_ONLY = Milter("defer", ("OUTBOUND", "VIRUS"))
ACCEPT: dict[str, Any] = {"error": "", "verdict": "accept", "reply": "", "headers": []}
MARKED = {**ACCEPT, "headers": [["X-Spam-Score", "1000"], ["X-Spam-Flag", "YES"]]}
REFUSED = {**ACCEPT, "verdict": "reject", "reply": "550 5.7.1 this message contains the virus"}
LATER = {**ACCEPT, "verdict": "tempfail", "reply": "451 4.5.0 Error in processing"}
GONE = {**ACCEPT, "verdict": "", "error": "[Errno 2] No such file or directory"}


def answer(kind: str, found: dict[str, Any], milter: Milter = ORDERS) -> Answer:
    return Answer("inbound" if milter is INBOUND else "stream orders", milter, kind, found)


def test_what_is_right_passes() -> None:
    good = [
        answer("virus", REFUSED), answer("spam", REFUSED), answer("clean", ACCEPT),
        answer("virus", REFUSED, INBOUND), answer("spam", MARKED, INBOUND),
        answer("clean", ACCEPT, INBOUND),
        # Who asks for viruses only gets spam.
        answer("spam", ACCEPT, VIRUS_ONLY),
    ]  # fmt: skip
    assert scanner.virus_problems(good) == []
    assert scanner.spam_problems(good) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (ACCEPT, "the scanner says accept to EICAR, expected 550"),
        (LATER, "the scanner answers 451 4.5.0 Error in processing to EICAR, expected 550"),
        (GONE, "the scanner does not answer ([Errno 2] No such file or directory) to EICAR"),
    ],
)
def test_a_virus_that_is_not_refused_is_told(found: dict[str, Any], words: str) -> None:
    (problem,) = scanner.virus_problems([answer("virus", found)])
    assert problem.startswith("stream orders: ")
    assert words in problem


def test_a_scanner_that_refuses_all_is_told() -> None:
    (problem,) = scanner.virus_problems([answer("virus", REFUSED), answer("clean", REFUSED)])
    assert "to a clean mail, expected accept" in problem


@pytest.mark.parametrize("found", [ACCEPT, REFUSED, LATER, GONE])
def test_inbound_spam_must_be_marked_and_taken(found: dict[str, Any]) -> None:
    assert len(scanner.spam_problems([answer("spam", found, INBOUND)])) == 1


@pytest.mark.parametrize("found", [ACCEPT, MARKED, LATER, GONE])
def test_submitted_spam_must_be_refused(found: dict[str, Any]) -> None:
    assert len(scanner.spam_problems([answer("spam", found)])) == 1


def test_clean_mail_must_not_be_marked() -> None:
    assert len(scanner.spam_problems([answer("clean", MARKED, INBOUND)])) == 1


def test_what_is_beyond_a_limit_is_marked_on_inbound_and_refused_on_streams() -> None:
    good = [answer("limit", REFUSED), answer("limit", MARKED, INBOUND)]
    assert scanner.limit_problems(good) == []
    for found in (ACCEPT, MARKED, LATER, GONE):
        assert len(scanner.limit_problems([answer("limit", found)])) == 1
    for found in (ACCEPT, REFUSED, LATER, GONE):
        assert len(scanner.limit_problems([answer("limit", found, INBOUND)])) == 1
    # Also where SpamAssassin is not asked.
    alone = Milter("inbound", ("INBOUND", "VIRUS"))
    assert len(scanner.limit_problems([Answer("inbound", alone, "limit", ACCEPT)])) == 1


def test_every_scanned_service_is_shown_every_kind() -> None:
    found = fleet(scan="full", on_scanner_failure="pass")
    asked: list[str] = []

    def run(command: str) -> str:
        asked.append(command)
        return "motd\n[" + ", ".join(['{"error": "off"}'] * 8) + "]\n"

    answers = scanner.ask(found, found.host(NAME), run)
    assert [(one.service, one.kind) for one in answers] == [
        (service, kind)
        for service in ("inbound", "stream news")
        for kind in ("virus", "spam", "clean", "limit")
    ]
    (command,) = asked
    assert "INBOUND,FULL" in command
    assert "OUTBOUND,FULL,PASS" in command
    assert GTUBE in command
    assert EICAR.split("-", maxsplit=1)[1] in command
    quiet = fleet(options={"inbound_scan": "none"})
    assert scanner.ask(quiet, quiet.host(NAME), run) == []
