"""How the answers of judges are judged, and that the judge itself answers as expected."""

from __future__ import annotations

from typing import Any

import pytest

from agent.lib.milter import Message
from agent.message.main import Stream
from mailfleet.host.signing import StreamSigner
from mailfleet.verify import identity
from mailfleet.verify.identity import Question

pytestmark = pytest.mark.unit

ORDERS = StreamSigner("orders", "shop.example", message_octets=10_240_000)
JUDGE = Stream(frozenset(ORDERS.domains), ORDERS.domain, ORDERS.message_octets)
ACCEPT: dict[str, Any] = {"error": "", "verdict": "accept", "reply": "", "headers": []}
ASKED = identity.questions(ORDERS)


def answer(question: Question, judge: Stream) -> dict[str, Any]:
    headers = [(name.encode(), value.encode()) for name, value in question.ask["headers"]]
    message = Message(headers, bytearray(question.body.encode()))
    say = judge.after_signing if question.signed else judge.before_signing
    return {**ACCEPT, "reply": say(message).reply}


def test_the_judge_answers_as_expected() -> None:
    assert identity.problems(ASKED, [answer(one, JUDGE) for one in ASKED]) == []


def test_a_judge_that_takes_everything_is_told_for_each_kind() -> None:
    found = identity.problems(ASKED, [ACCEPT] * len(ASKED))
    assert len(found) == sum(bool(one.expected) for one in ASKED) == 10
    assert found[0].startswith(
        "stream orders: the judge says accept to mail from a stranger, expected 550 5.…: deploy again"
    )


def test_a_judge_of_another_stream_is_told() -> None:
    other = Stream(frozenset({"stranger.invalid"}), "stranger.invalid", 10_000)
    found = identity.problems(ASKED, [answer(one, other) for one in ASKED])
    assert any("to mail from the stream, expected accept" in line for line in found)
    assert any("says accept to mail from a stranger," in line for line in found)
    assert any("says accept to mail that a stranger signed, expected 451" in line for line in found)


def test_a_judge_that_is_away_is_told_once() -> None:
    gone = {**ACCEPT, "error": "[Errno 2] No such file or directory"}
    (problem,) = identity.problems(ASKED, [gone] * len(ASKED))
    assert "mailfleet-message@orders.service does not answer ([Errno 2]" in problem
