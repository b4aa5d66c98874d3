"""The one policy of waiting: how often, how long, and when not at all."""

from __future__ import annotations

import logging

import pytest

from mailfleet.apis.retry import Outcome, Retry, until_shown

pytestmark = pytest.mark.unit


def pauses(outcome: Outcome, retry_after: float | None = None, at_least: float = 0) -> list[float]:
    """The pauses of a request that fails in the same way each time."""
    waited: list[float] = []
    retry = Retry(waited.append, "read the zone")
    while retry.again(outcome, retry_after, at_least):
        assert len(waited) < 1000
    return waited


def test_what_was_refused_is_not_sent_again() -> None:
    assert pauses(Outcome.REFUSED) == []


def test_an_unknown_outcome_and_a_lock_are_tried_a_few_times() -> None:
    assert pauses(Outcome.UNKNOWN) == [1, 2, 4, 8]
    assert pauses(Outcome.BUSY) == [1, 2, 4, 8, 16, 32, 64]


def test_a_limit_is_waited_out_for_a_quarter_of_an_hour_in_all() -> None:
    assert pauses(Outcome.LIMITED)[:9] == [1, 2, 4, 8, 16, 32, 64, 90, 90]
    assert 780 < sum(pauses(Outcome.LIMITED)) <= 900


def test_the_answer_s_own_time_is_kept_to() -> None:
    assert pauses(Outcome.LIMITED, retry_after=300) == [300, 300, 300]
    assert pauses(Outcome.LIMITED, retry_after=86400) == []
    assert pauses(Outcome.LIMITED, at_least=30)[:6] == [30, 30, 30, 30, 30, 32]


def test_kinds_of_failure_may_change() -> None:
    waited: list[float] = []
    retry = Retry(waited.append, "read the zone")
    assert retry.again(Outcome.LIMITED, 120)
    assert retry.again(Outcome.UNKNOWN)
    assert not retry.again(Outcome.REFUSED)
    assert waited == [120, 2]


def test_what_is_waited_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mailfleet.apis.retry"):
        pauses(Outcome.UNKNOWN)
    assert caplog.messages[0] == "read the zone: UNKNOWN, again in 1 s"
    assert caplog.messages[-1] == "read the zone: UNKNOWN, given up after 5 tries"


def test_an_answer_is_read_again_until_it_is_right() -> None:
    waited: list[float] = []
    answers = iter(range(9))
    assert until_shown(lambda: next(answers), lambda answer: answer == 2, waited.append) == 2
    assert waited == [1, 2]
    assert until_shown(lambda: 7, lambda answer: answer == 2, waited.append) == 7
    assert waited == [1, 2, 1, 2, 4, 8]
