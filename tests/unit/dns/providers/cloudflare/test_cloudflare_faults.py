"""Whatever goes wrong at Cloudflare: nothing foreign is lost, and the next push ends in an empty plan."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from mailfleet.dns.rrset import rrset, txt
from mailfleet.errors import MailfleetError
from tests.fakes.cloudflare.server import FakeCloudflare
from tests.fakes.cloudflare.setting import TTL, ZONE, Setting, setting

pytestmark = pytest.mark.unit

MTA = f"mta1.{ZONE}"
OLD = [
    rrset(ZONE, "TXT", TTL, txt("v=spf1 ip4:198.51.100.1 -all")),
    rrset(MTA, "A", TTL, "198.51.100.1"),
    rrset(f"old.{ZONE}", "A", TTL, "198.51.100.3"),
]
NEW = [
    rrset(ZONE, "TXT", TTL, txt("v=spf1 ip4:198.51.100.2 -all")),
    rrset(MTA, "A", TTL, "198.51.100.1", "198.51.100.2"),
    rrset(f"k1._domainkey.{ZONE}", "TXT", TTL, txt("v=DKIM1; p=QQ==")),
]


@pytest.fixture(name="at")
def _at() -> Iterator[Setting]:
    """A zone with records of ours and, in the same record sets, those of another program."""
    with setting() as found:
        found.zone.add("TXT", ZONE, "google-site-verification=abc", comment="by hand")
        found.zone.add("A", f"www.{ZONE}", "192.0.2.1", proxied=True)
        found.push(OLD)
        found.zone.add("A", MTA, "192.0.2.99")
        found.fake.requests.clear()
        yield found


def converges(at: Setting, foreign: set[Any]) -> None:
    """Another push brings what is left to do; nothing foreign has changed."""
    assert at.foreign() >= foreign
    at.fake.faults.clear()
    at.push(NEW)
    assert at.foreign() >= foreign
    assert at.plan(NEW).is_empty
    ours = [r for r in at.zone.records.values() if r.get("comment", "").startswith("mailfleet:")]
    assert len(ours) == 4


PASSING: list[dict[str, Any]] = [
    {"status": 429, "headers": {"Retry-After": "2"}},
    {"status": 429, "headers": {"Retry-After": "300"}, "times": 3},
    {"status": 429},
    {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}},
    {"status": 409},
    {"status": 500},
    {"status": 503, "times": 3},
    {"status": 500, "after": True},
    {"status": 503, "after": True, "headers": {"Retry-After": "30"}},
    {"status": 502, "after": True},
    {"instead": "drop"},
    {"instead": "drop", "after": True},
    {"instead": "drop", "after": True, "times": 2},
]
"""Faults that end by themselves: one push is enough."""


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_a_passing_fault_of_a_batch(at: Setting, fault: dict[str, Any]) -> None:
    before = at.foreign()
    at.fake.fail(**fault)
    at.push(NEW)
    assert at.clock.slept or fault.get("after")
    converges(at, before)


@pytest.mark.parametrize("fault", [f for f in PASSING if not f.get("after")], ids=str)
@pytest.mark.parametrize("path", ["/zones", "/dns_records"])
def test_a_passing_fault_of_a_list(at: Setting, path: str, fault: dict[str, Any]) -> None:
    before = at.foreign()
    at.fake.fail(method="GET", path=path, **fault)
    at.push(NEW)
    converges(at, before)


LASTING: list[tuple[dict[str, Any], str]] = [
    ({"status": 429}, "1,200 requests"),
    ({"status": 429, "headers": {"Retry-After": "86400"}}, "1,200 requests"),
    ({"status": 409}, "HTTP 409"),
    ({"status": 422, "code": 9005}, "made to fail [9005]"),
    ({"status": 400, "code": 1004}, "made to fail [1004]"),
    ({"status": 500}, "status page"),
    ({"status": 401, "code": 10000}, "does not accept the token"),
    ({"status": 403, "code": 10000}, "Zone:Read and DNS:Edit"),
    ({"instead": "drop"}, "no connection"),
]
"""Faults that stay: the push fails, in words."""


@pytest.mark.parametrize(("fault", "said"), LASTING, ids=str)
def test_a_lasting_fault(at: Setting, fault: dict[str, Any], said: str) -> None:
    before = at.foreign()
    at.fake.fail(times=99, **fault)
    with pytest.raises(MailfleetError) as caught:
        at.push(NEW)
    assert said in str(caught.value)
    assert "hint:" in str(caught.value)
    # Bounded: not even the patience with the rate limit goes on for ever.
    assert len(at.fake.requests) < 20
    assert sum(at.clock.slept) < 1000
    converges(at, before)


def test_five_minutes_of_rate_limit_are_waited_for(at: Setting) -> None:
    at.fake.fail(status=429, headers={"Retry-After": "300"})
    at.push(NEW)
    assert at.clock.slept == [300.0]


@pytest.mark.parametrize("after", [False, True])
def test_no_answer_in_time(at: Setting, after: bool) -> None:
    before = at.foreign()
    at.fake.fail(instead="hang", after=after)
    driver = at.driver(timeout=1.0)
    at.push(NEW, driver)
    assert at.fake.count("POST") == (1 if after else 2)
    converges(at, before)


def test_a_retried_batch_that_finds_its_own_records(at: Setting) -> None:
    # The first answer is lost, then the list still shows the zone as it was: so a second attempt is
    # made, and is told that the records are there.
    at.fake.fail(status=500, after=True)
    stale = dict(at.zone.records)
    done: dict[str, Any] = {}

    def hide() -> None:
        done.update(at.zone.records)
        at.zone.records = stale

    def show() -> None:
        at.zone.records = done

    reads = at.fake.faults
    made = at.driver()
    plan = at.plan(NEW, made)
    at.fake.fail(method="GET", path="/dns_records", status=0, action=lambda: None)
    at.fake.fail(method="GET", path="/dns_records", status=0, action=hide)
    at.fake.fail(status=0, action=show)
    made.apply(plan, at.snapshot)
    assert at.fake.count("POST") == 2
    assert not [fault for fault in reads if fault.times]
    assert at.plan(NEW).is_empty


def test_a_change_between_plan_and_push_stops_it(at: Setting) -> None:
    driver = at.driver()
    made = at.plan(NEW, driver)
    at.zone.add("TXT", ZONE, "v=spf1 include:esp.example ~all")
    before = at.foreign()
    with pytest.raises(MailfleetError, match=r"changed by somebody else.*\n.*run the command"):
        driver.apply(made, at.snapshot)
    assert at.fake.count("POST") == 0
    assert at.foreign() == before


def test_a_change_elsewhere_does_not_stop_it(at: Setting) -> None:
    driver = at.driver()
    made = at.plan(NEW, driver)
    at.zone.add("A", f"blog.{ZONE}", "192.0.2.7")
    before = at.foreign()
    driver.apply(made, at.snapshot)
    converges(at, before)


@pytest.mark.parametrize("what", ["delete", "create"])
def test_a_change_at_the_very_moment(at: Setting, what: str) -> None:
    """Somebody deletes what is to be overwritten, or makes what is to be made."""
    before = at.foreign()

    def somebody() -> None:
        if what == "delete":
            del at.zone.records[at.zone.find("A", f"old.{ZONE}")[0]["id"]]
        else:
            at.zone.add("A", MTA, "198.51.100.2")

    at.fake.fail(status=0, action=somebody)
    with pytest.raises(MailfleetError, match="changed by somebody else"):
        at.push(NEW)
    assert at.zone.find("TXT", f"k1._domainkey.{ZONE}") == []
    if what == "delete":
        converges(at, before)
        return
    assert at.foreign() > before
    at.push(NEW)
    assert at.plan(NEW).is_empty


def test_a_failure_half_way_tells_what_was_written() -> None:
    many = [rrset(f"h{n}.{ZONE}", "A", TTL, "198.51.100.1") for n in range(250)]
    with setting(validate=False) as at:
        driver = at.driver()
        made = at.plan(many, driver)
        at.fake.fail(status=0, action=lambda: at.fake.fail(status=403, times=9))
        with pytest.raises(MailfleetError, match=r"200 of 250 records were written before"):
            driver.apply(made, at.snapshot)
        at.fake.faults.clear()
        assert len(at.plan(many).changes) == 50
        at.push(many)
        assert at.plan(many).is_empty


def test_the_token_is_in_no_message(at: Setting) -> None:
    wrong = "wrong-token-in-nobodys-eyes"
    with pytest.raises(MailfleetError) as caught:
        at.driver(token=wrong).read(ZONE)
    text = "".join(traceback.format_exception(caught.value))
    assert "MAILFLEET_CLOUDFLARE" in text
    assert wrong not in text
    at.fake.fail(status=500, times=99)
    with pytest.raises(MailfleetError) as caught:
        at.push(NEW)
    assert at.fake.account.token not in "".join(traceback.format_exception(caught.value))
    assert at.fake.account.token not in repr(vars(at.driver()))


@pytest.mark.parametrize("answer", [{}, {"result": None}, {"result": [{}]}, [], "<html>", None])
def test_an_answer_that_makes_no_sense(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with setting(validate=False) as at:
        monkeypatch.setattr(FakeCloudflare, "_answer", lambda *_: (200, answer))
        with pytest.raises(MailfleetError, match="cannot be understood"):
            at.driver().read(ZONE)


def test_a_server_that_is_down() -> None:
    with setting() as at:
        driver = at.driver()
    with pytest.raises(MailfleetError, match=r"no connection.*\n.*HTTPS"):
        driver.read(ZONE)


@pytest.mark.parametrize("token", ["first-half\nsecond-half", "tokén", "two words"])
def test_what_can_be_no_token_is_refused_without_showing_it(token: str) -> None:
    with setting() as at, pytest.raises(MailfleetError, match="is no API token") as caught:
        at.driver(token=token).read(ZONE)
    shown = "".join(traceback.format_exception(caught.value))
    assert not [word for word in token.split() if word in str(caught.value)]
    assert token not in shown
