"""The Hetzner driver when things go wrong: nothing foreign is lost, and the next push converges."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from mailfleet.dns.plan.zone import plan
from mailfleet.dns.rrset import rrset, txt
from mailfleet.errors import MailfleetError
from tests.fakes.hetzner.faults import Fault
from tests.fakes.hetzner.objects import primary_ip
from tests.fakes.hetzner.project import Project
from tests.fakes.hetzner.server import TOKEN, HetznerFake
from tests.fakes.hetzner.setup import ZONE, Time, driver, ptr, push, running, wanted_ptr

pytestmark = pytest.mark.unit

VERIFICATION = '"google-site-verification=abc"'
THEIRS = '"stripe-verification=xyz"'
BEFORE = [
    rrset(ZONE, "TXT", 300, txt("v=spf1 ip4:203.0.113.1 -all")),
    rrset(f"mta1.{ZONE}", "A", 300, "203.0.113.1"),
    rrset(f"old.{ZONE}", "A", 300, "203.0.113.9"),
    rrset(f"old.{ZONE}", "TXT", 300, txt("v=spf1 a -all")),
    rrset(f"smtp.{ZONE}", "CNAME", 300, f"mta1.{ZONE}."),
]
# Every verb: create, set, set among foreign values, TTL, add, delete, remove, CNAME to A.
AFTER = [
    rrset(f"k1._domainkey.{ZONE}", "TXT", 300, txt("v=DKIM1; p=AAAA")),
    rrset(ZONE, "TXT", 300, txt("v=spf1 ip4:203.0.113.2 -all")),
    rrset(f"mta1.{ZONE}", "A", 60, "203.0.113.2"),
    rrset(f"shared.{ZONE}", "TXT", 300, txt("v=spf1 a -all")),
    rrset(f"smtp.{ZONE}", "A", 300, "203.0.113.2"),
]


@pytest.fixture(name="fake")
def _fake() -> Iterator[HetznerFake]:
    with running() as fake:
        fake.project.put(ZONE, "@", "TXT", 300, VERIFICATION)
        fake.project.put(ZONE, "www", "A", None, "198.51.100.80")
        fake.project.put(ZONE, "shared", "TXT", 300, THEIRS)
        push(driver(fake), BEFORE)
        fake.requests.clear()
        yield fake


def foreign(fake: HetznerFake) -> list[tuple[str, str]]:
    """Every value that we did not write."""
    return sorted(
        (entry["id"], record["value"])
        for entry in fake.project.rrsets[ZONE].values()
        for record in entry["records"]
        if not record["comment"] and "managed-by" not in entry["labels"]
    )


def converges(fake: HetznerFake, before: list[tuple[str, str]]) -> None:
    """After at most one push more everything is as it should be."""
    assert foreign(fake) == before
    push(driver(fake), AFTER)
    assert plan(driver(fake).read(ZONE), AFTER).is_empty
    assert foreign(fake) == before


def problem(fake: HetznerFake) -> MailfleetError | None:
    """How a push ends."""
    try:
        push(driver(fake), AFTER)
    except MailfleetError as error:
        return error
    return None


def answers(status: int, code: str, **options: Any) -> Fault:
    return Fault("answer", status, code, **options)


# Each kind of request that a push sends.
REQUESTS = [
    ("POST", "/rrsets$"),
    ("POST", "/set_records"),
    ("POST", "/add_records"),
    ("POST", "/remove_records"),
    ("POST", "/change_ttl"),
    ("GET", "/v1/actions"),
    ("GET", "/zones/[^/]+$"),
    ("GET", "/rrsets$"),
    ("GET", "/TXT$"),
]
PASSING = {
    "429 with Retry-After": lambda: answers(
        429, "rate_limit_exceeded", headers={"Retry-After": "120"}, times=2
    ),
    "429 without": lambda: answers(
        429, "rate_limit_exceeded", headers={"RateLimit-Reset": ""}, times=9
    ),
    "429 with RateLimit-Reset": lambda: answers(
        429, "rate_limit_exceeded", headers={"RateLimit-Reset": "9999999999"}, times=8
    ),
    "409 conflict": lambda: answers(409, "conflict", times=3),
    "423 locked": lambda: answers(423, "locked", times=3),
    "500": lambda: answers(500, "server_error"),
    "500 after the change": lambda: answers(500, "server_error", after=True),
    "503 after the change": lambda: answers(503, "unavailable", after=True),
    "504 after the change": lambda: answers(504, "timeout", after=True),
    "connection lost": lambda: Fault("drop"),
    "connection lost after the change": lambda: Fault("drop", after=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_by_is_waited_out(fake: HetznerFake, name: str) -> None:
    before, time = foreign(fake), Time()
    for method, path in REQUESTS:
        fault = PASSING[name]()
        fault.method, fault.path = method, path
        fake.faults.append(fault)
    push(driver(fake, time), AFTER)
    assert [fault.times for fault in fake.faults] == [0] * len(REQUESTS)
    assert plan(driver(fake).read(ZONE), AFTER).is_empty
    assert foreign(fake) == before
    assert time.pauses.count(120) == ("with Retry-After" in name) * 2 * len(REQUESTS)


@pytest.mark.parametrize("after", [True, False])
def test_silence_is_no_answer(fake: HetznerFake, after: bool) -> None:
    before = foreign(fake)
    for path in ("/rrsets$", "/set_records", "/remove_records"):
        fake.faults.append(Fault("silence", method="POST", path=path, after=after))
    push(driver(fake, timeout=0.3), AFTER)
    assert [fault.times for fault in fake.faults] == [0, 0, 0]
    converges(fake, before)


FATAL: dict[str, Callable[[], Fault]] = {
    "429 for too long": lambda: answers(
        429, "rate_limit_exceeded", headers={"Retry-After": "3000"}
    ),
    "429 without end": lambda: answers(429, "rate_limit_exceeded", times=10_000),
    "422": lambda: answers(422, "invalid_input"),
    "protected": lambda: answers(423, "protected"),
    "locked without end": lambda: answers(423, "locked", times=10_000),
    "500 without end": lambda: answers(500, "server_error", times=10_000),
    "503 without end, after the changes": lambda: answers(503, "unavailable", times=99, after=True),
    "maintenance": lambda: answers(403, "maintenance"),
    "permission lost": lambda: answers(401, "token_readonly"),
}


@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("name", FATAL)
def test_a_push_that_dies_is_resumed(fake: HetznerFake, name: str, skip: int) -> None:
    before, fault = foreign(fake), FATAL[name]()
    fault.path = "/zones/.*/rrsets"
    fake.faults += [Fault("hook", path="/zones/.*/rrsets") for _ in range(skip)]
    fake.faults.append(fault)
    error = problem(fake)
    # What fails after it was carried out may have been noticed to be done.
    assert error or fault.after
    if error:
        assert error.hint
        assert TOKEN not in "".join(traceback.format_exception(error))
        assert TOKEN not in f"{error.__context__}"
    fake.faults.clear()
    converges(fake, before)


def test_an_action_that_fails_is_told_and_repeated(fake: HetznerFake) -> None:
    before = foreign(fake)
    fake.project.failing = 1
    with pytest.raises(MailfleetError, match=r"k1\._domainkey.*: Action failed"):
        push(driver(fake), AFTER)
    # Nothing of a later phase was begun.
    assert fake.count("POST", "TXT/actions") == 0
    converges(fake, before)


def test_an_action_that_takes_long_is_waited_for(fake: HetznerFake) -> None:
    fake.project.rounds = 20
    push(driver(fake), AFTER)
    assert plan(driver(fake).read(ZONE), AFTER).is_empty


def test_an_action_without_end_is_told(fake: HetznerFake) -> None:
    before, time = foreign(fake), Time()
    fake.project.rounds = 10_000
    with pytest.raises(MailfleetError, match=r"has not finished.*_domainkey"):
        push(driver(fake, time), AFTER)
    assert 300 < sum(time.pauses) < 600
    fake.project.rounds = 1
    converges(fake, before)


def test_an_action_is_waited_for_although_its_answer_was_lost(fake: HetznerFake) -> None:
    fake.project.rounds = 3
    fake.faults.append(Fault("drop", method="POST", path="/rrsets$", after=True))
    push(driver(fake), AFTER)
    assert {action["status"] for action in fake.project.actions.values()} == {"success"}


def test_our_own_lock_is_waited_for(fake: HetznerFake) -> None:
    # Values and TTL of one RRset are two requests.
    fake.project.locking = True
    fake.project.rounds = 3
    push(driver(fake), AFTER)
    assert plan(driver(fake).read(ZONE), AFTER).is_empty


def _hook(fake: HetznerFake, act: Callable[[], None], path: str, method: str = "POST") -> None:
    fake.faults.append(Fault("hook", method=method, path=path, act=act))


# What another program can do to the RRsets that a push is about.
SOMEBODY: dict[str, Callable[[Project], object]] = {
    "adds a value": lambda p: p.add_value(ZONE, "@", "TXT", THEIRS),
    "takes its value away": lambda p: p.rrsets[ZONE]["@", "TXT"]["records"].pop(0),
    "creates what we want": lambda p: p.put(ZONE, "k1._domainkey", "TXT", 60, '"p=theirs"'),
    "deletes ours": lambda p: p.rrsets[ZONE].pop(("mta1", "A")),
    "writes over ours": lambda p: p.put(ZONE, "mta1", "A", 60, "198.51.100.1"),
    "adds beside the last": lambda p: p.add_value(ZONE, "old", "TXT", THEIRS),
}


@pytest.mark.parametrize("name", SOMEBODY)
def test_a_change_between_plan_and_push_stops_it(fake: HetznerFake, name: str) -> None:
    with pytest.raises(MailfleetError, match="changed by somebody else") as caught:
        push(driver(fake), AFTER, between=lambda: SOMEBODY[name](fake.project))
    assert caught.value.hint == "run the command again"
    assert fake.count("POST", "/rrsets") == 0
    after = foreign(fake)
    push(driver(fake), AFTER, adopt=["k1.*/TXT", "mta1.*/A"])
    assert plan(driver(fake).read(ZONE), AFTER).is_empty
    adopted = ('"p=theirs"', "198.51.100.1")
    assert foreign(fake) == [entry for entry in after if entry[1] not in adopted]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/rrsets$", "POST"),
        ("TXT$", "GET"),
        ("add_records", "POST"),
        ("remove_records", "POST"),
        ("/v1/actions", "GET"),
    ],
)
def test_a_value_that_comes_during_the_push_stays(
    fake: HetznerFake, path: str, method: str
) -> None:
    def act() -> None:
        for name in ("@", "shared", "old"):
            fake.project.add_value(ZONE, name, "TXT", '"late=1"')

    _hook(fake, act, path, method)
    error = problem(fake)
    assert error is None or "somebody else" in error.problem
    late = [entry for entry in foreign(fake) if entry[1] == '"late=1"']
    assert len(late) == 3
    converges(fake, foreign(fake))


def test_a_record_created_at_the_same_moment_is_not_overwritten(fake: HetznerFake) -> None:
    def act() -> None:
        fake.project.put(ZONE, "k1._domainkey", "TXT", 60, '"p=theirs"')

    _hook(fake, act, "/rrsets$")
    with pytest.raises(MailfleetError, match=r"k1\._domainkey.* changed by somebody else"):
        push(driver(fake), AFTER)
    assert ("k1._domainkey/TXT", '"p=theirs"') in foreign(fake)


def test_a_repeat_does_not_overwrite_what_came_after_the_lost_answer(fake: HetznerFake) -> None:
    def act() -> None:
        fake.project.add_value(ZONE, "@", "TXT", THEIRS)

    fake.faults.append(Fault("drop", method="POST", path="/TXT/.*/set_records", after=True))
    _hook(fake, act, "/TXT$", "GET")
    # The first look, right before, must not see it yet.
    fake.faults.insert(0, Fault("hook", method="GET", path="/TXT$"))
    before = copy.deepcopy(foreign(fake))
    push(driver(fake), AFTER)
    assert foreign(fake) == sorted([*before, ("@/TXT", THEIRS)])


def test_pointers_survive_faults(fake: HetznerFake) -> None:
    address = ip_address("203.0.113.1")
    fake.project.primary_ips = [primary_ip(1, "203.0.113.1", {})]
    names = {address: f"mta1.{ZONE}"}
    to, wanted = ptr(fake, names), [record.rrset for record in wanted_ptr(names)]
    snapshot = to.read()
    made = plan(snapshot, wanted)
    fake.faults += [
        answers(423, "locked", path="dns_ptr"),
        Fault("drop", path="dns_ptr", after=True),
    ]
    to.apply(made, snapshot)
    assert plan(to.read(), wanted).is_empty
    with pytest.raises(MailfleetError, match="changed by somebody else"):
        to.apply(made, snapshot)


def test_a_pointer_that_is_refused_is_told(fake: HetznerFake) -> None:
    address = ip_address("203.0.113.1")
    fake.project.primary_ips = [primary_ip(1, "203.0.113.1", {})]
    names = {address: f"mta1.{ZONE}"}
    to = ptr(fake, names)
    snapshot = to.read()
    made = plan(snapshot, [record.rrset for record in wanted_ptr(names)])
    fake.faults.append(answers(422, "invalid_input", path="dns_ptr"))
    with pytest.raises(MailfleetError, match=r"PTR record of 203\.0\.113\.1.*invalid_input"):
        to.apply(made, snapshot)


def test_no_server_at_all() -> None:
    with running() as fake:
        to = driver(fake)
    with pytest.raises(MailfleetError, match="no connection") as caught:
        to.read(ZONE)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
