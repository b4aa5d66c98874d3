"""The certificate agent's decisions: when it orders, waits, refuses, and what it tells."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.certificate.config import Config, Lineage
from agent.certificate.order import (
    Certificate,
    State,
    arguments,
    listed,
    metrics,
    need,
    pause,
    paused,
    recent_failures,
    refusal,
    told,
)

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CONFIG = Config(
    names=("mta1.shop.example", "smtp.shop.example"),
    lineages=(Lineage("mta1.shop.example", "ecdsa"),),
    directory="https://ca.example/dir",
    contact=None,
    addresses=("192.0.2.10",),
    units=("nginx.service",),
)
GOOD = Certificate(
    frozenset(CONFIG.names), NOW - 10 * DAY, NOW + 80 * DAY, directory=CONFIG.directory
)


@pytest.mark.parametrize(
    ("present", "reason"),
    [
        (GOOD, ""),
        (None, "there is none yet"),
        (replace(GOOD, issued=False), "there is none yet"),
        (
            replace(GOOD, names=frozenset({"mta1.shop.example", "old.shop.example"})),
            "it lacks smtp.shop.example and names old.shop.example, which the host no longer has",
        ),
        (replace(GOOD, directory="https://staging.example/dir"), "it is from https://staging.example/dir"),
        (replace(GOOD, directory=""), "it is from an unknown authority"),
        (replace(GOOD, ends=NOW + 4 * DAY), "it ends on 2026-05-05"),
        (replace(GOOD, ends=NOW - DAY), "it ends on 2026-04-30"),
    ],
)  # fmt: skip
def test_only_what_is_needed_is_ordered(present: Certificate | None, reason: str) -> None:
    assert need(present, CONFIG, NOW) == reason
    assert need(present, CONFIG, NOW, forced=True) == (reason or "a new one was asked for")


@pytest.mark.parametrize("life", [90, 45, 6])
def test_it_is_renewed_with_a_third_of_its_life_left(life: int) -> None:
    begins = NOW - dt.timedelta(days=life * 2 / 3)
    due = replace(GOOD, begins=begins, ends=begins + dt.timedelta(days=life))
    assert need(due, CONFIG, NOW + dt.timedelta(seconds=1)) != ""
    assert need(due, CONFIG, NOW - dt.timedelta(minutes=1)) == ""


@pytest.mark.parametrize("life", [90, 45, 6])
def test_with_a_ninth_of_its_life_left_it_is_pressing(life: int) -> None:
    begins = NOW - dt.timedelta(days=life * 8 / 9)
    late = replace(GOOD, begins=begins, ends=begins + dt.timedelta(days=life))
    assert not late.is_urgent(NOW - dt.timedelta(minutes=1))
    assert late.is_urgent(NOW + dt.timedelta(minutes=1))
    assert late.is_urgent(NOW + life * DAY), "it has ended"
    # Before the first order nothing is lost by waiting for every host.
    assert not replace(late, issued=False).is_urgent(NOW + dt.timedelta(minutes=1))


def at(*minutes_ago: float) -> list[float]:
    return [(NOW - dt.timedelta(minutes=one)).timestamp() for one in minutes_ago]


def test_three_failures_within_an_hour_make_the_next_order_wait() -> None:
    assert pause([], NOW) is None
    assert pause(at(50, 10), NOW) is None
    assert pause(at(70, 65, 50, 10), NOW) is None, "the older ones no longer count"
    assert pause(at(50, 30, 10), NOW) == NOW + dt.timedelta(minutes=10)
    # A fourth was made by hand: the third last counts.
    assert pause(at(50, 40, 30, 10), NOW) == NOW + dt.timedelta(minutes=20)


@given(st.lists(st.floats(min_value=-100, max_value=200)))
def test_never_more_than_let_s_encrypt_allows(ages: list[float]) -> None:
    failures = at(*ages)
    until = pause(failures, NOW)
    assert (until is None) == (len(recent_failures(failures, NOW)) < 3)
    assert until is None or NOW < until <= NOW + dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("count", "hours"), [(0, 0), (2, 0), (3, 1), (5, 1), (6, 6), (8, 6), (9, 24), (20, 24)]
)
def test_the_timer_waits_the_longer_the_more_orders_failed_in_a_row(count: int, hours: int) -> None:
    failures = at(*(10 + 1000 * n for n in reversed(range(count))))
    until = NOW + dt.timedelta(hours=hours, minutes=-10)
    assert pause(failures, NOW, timer=True) == (until if hours else None)
    assert pause(failures, until, timer=True) is None
    assert pause(failures, NOW) is None, "who has mended the cause need not wait"


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6)))
def test_the_timer_never_waits_less_than_anyone_else_nor_longer_than_a_day(
    ages: list[float],
) -> None:
    failures = at(*ages)
    until, least = pause(failures, NOW, timer=True), pause(failures, NOW)
    assert least is None or least <= (until or NOW)
    assert until is None or NOW < until <= NOW + DAY, "not even if the clock was wrong once"


def test_only_the_last_failures_are_kept() -> None:
    state = State()
    for hour in range(30):
        state.failed(NOW + dt.timedelta(hours=hour), f"failure {hour}")
    assert len(state.failures) == 20
    assert state.failures[-1] == NOW.timestamp() + 29 * 3600
    assert state.failure == "failure 29"


def test_a_pause_is_told_with_its_cause_and_what_to_do() -> None:
    state = State(failures=at(30, 20, 10), failure="no luck", reason="a text of an earlier run")
    said = paused(state, NOW, "agent run")
    assert said == (
        "too many orders failed (3 in a row): the next one is made after 2026-05-01 12:00 UTC;"
        " the last one: no luck; once that is mended, this orders sooner: agent run"
    )
    state.reason = said
    assert paused(state, NOW, "agent run") == said, "it does not grow from run to run"
    assert paused(state, NOW).endswith("; the last one: no luck; mend that and try again then")


def test_a_bad_certificate_does_not_take_the_place_of_a_good_one() -> None:
    assert refusal(GOOD, GOOD, CONFIG.names, NOW) == ""
    ended = replace(GOOD, ends=NOW - DAY)
    assert refusal(ended, GOOD, CONFIG.names, NOW).startswith("it is valid from 2026-04-21")
    early = replace(GOOD, begins=NOW + DAY)
    assert refusal(early, GOOD, CONFIG.names, NOW) != ""
    fewer = replace(GOOD, names=frozenset(CONFIG.names[:1]))
    assert refusal(fewer, GOOD, CONFIG.names, NOW) == "it lacks smtp.shop.example"


@pytest.mark.parametrize(
    "serving", [None, replace(GOOD, issued=False), replace(GOOD, ends=NOW - DAY)]
)
def test_a_few_names_too_few_are_better_than_no_trust(serving: Certificate | None) -> None:
    fewer = replace(GOOD, names=frozenset(CONFIG.names[:1]))
    assert refusal(fewer, serving, CONFIG.names, NOW) == ""


def test_what_certbot_is_asked() -> None:
    said = arguments(CONFIG, CONFIG.lineages[0], "/webroot", "hook install")
    text = " ".join(said)
    assert said[:2] == ["certbot", "certonly"]
    assert "--key-type ecdsa --elliptic-curve secp256r1 --reuse-key" in text
    assert "--server https://ca.example/dir --webroot --webroot-path /webroot" in text
    assert "--register-unsafely-without-email" in said
    assert said[said.index("--deploy-hook") + 1] == "hook install"
    assert [said[i + 1] for i, part in enumerate(said) if part == "--domain"] == [*CONFIG.names]
    contact = replace(CONFIG, contact="a@shop.example")
    text = " ".join(arguments(contact, Lineage("x-rsa", "rsa"), "/webroot", "hook"))
    assert "--email a@shop.example --no-eff-email" in text
    assert "--cert-name x-rsa --key-type rsa --rsa-key-size 2048 --reuse-key" in text


def test_certbot_s_words_in_one_line() -> None:
    output = (
        "Saving debug log to /var/log/letsencrypt/letsencrypt.log\nRequesting a certificate\n\n"
        "Certbot failed to authenticate some domains (authenticator: webroot).\n"
        "  Domain: smtp.shop.example\n  Type:   unauthorized\n  Detail: 404\n\n"
        "Some challenges have failed.\nAsk for help or search for solutions at ...\n"
    )
    assert told(output) == "Domain: smtp.shop.example Type:   unauthorized Detail: 404"
    assert told("Saving debug log to x\nAn unexpected error occurred:\nno route\n") == (
        "An unexpected error occurred: no route"
    )
    assert told("") == "certbot gave no reason"
    assert len(told("x" * 5000)) == 600


def test_many_problems_are_counted() -> None:
    assert listed(["a", "b"]) == "a; b"
    assert listed(["a", "b", "c"]) == "a; b; c"
    assert listed([*"abcde"]) == "a; b; c; and 2 names more"


def test_metrics_are_what_prometheus_reads() -> None:
    state = State(result="failed", attempt=1000, success=500)
    ends = f"{GOOD.ends.timestamp():.0f}"
    assert metrics(state, [("mta1", GOOD)]).splitlines()[2::3] == [
        f'mailfleet_certificate_expiry_timestamp_seconds{{lineage="mta1"}} {ends}',
        "mailfleet_certificate_last_success_timestamp_seconds 500",
        "mailfleet_certificate_last_failure_timestamp_seconds 1000",
        "mailfleet_certificate_last_attempt_failed 1",
    ]  # fmt: skip
    for result in ("good", ""):
        assert "last_attempt_failed 0\n" in metrics(replace(state, result=result), [])
    assert "last_attempt_failed 1\n" in metrics(replace(state, result="waiting"), [])
