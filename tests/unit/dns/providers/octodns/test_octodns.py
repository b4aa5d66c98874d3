"""The octoDNS driver with a provider class in memory, and its keys in a domain file."""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailfleet.dns.plan.zone import plan
from mailfleet.dns.providers.octodns import OctoDns
from mailfleet.dns.providers.octodns.api import Arguments, arguments
from mailfleet.dns.providers.registry import open_provider, secrets_of
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, OctodnsSettings
from mailfleet.secrets import Secret

pytest.importorskip("octodns", reason="needs the extra octodns")

from octodns.provider.base import BaseProvider  # type: ignore[import-untyped]
from octodns.record import Delete, Record  # type: ignore[import-untyped]

pytestmark = pytest.mark.unit

ZONE = "shop.example"
MTA = f"mta1.eu.{ZONE}"
SPF = txt("v=spf1 ip4:198.51.100.1 -all")


class Memory(BaseProvider):  # type: ignore[misc]
    """What a provider package offers; what it holds outlives it, as with a real one."""

    SUPPORTS_GEO = False
    SUPPORTS: ClassVar[set[str]] = {"A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT", "TLSA", "CAA"}
    held: ClassVar[dict[str, dict[tuple[str, str], Any]]] = {}
    calls: ClassVar[list[str]] = []
    fail_after: ClassVar[int | None] = None
    lenient_ttl: ClassVar[int] = 0

    def __init__(self, id: str, token: str = "", **options: Any) -> None:  # noqa: A002
        self.log = logging.getLogger("memory")
        if token == "bad":
            raise RuntimeError(f"401 for {token}-token {options}")
        super().__init__(id, **options)

    def populate(self, zone: Any, **_: Any) -> bool:
        self.calls.append("populate")
        for (name, kind), data in self.held.get(zone.name, {}).items():
            found = {**data, "type": kind, "ttl": max(data["ttl"], self.lenient_ttl)}
            zone.add_record(Record.new(zone, name, found, lenient=True), lenient=True)
        return zone.name in self.held

    def _apply(self, made: Any) -> None:
        self.calls.append("apply")
        content: dict[Any, Any] = self.held[made.desired.name]
        for number, change in enumerate(made.changes):
            if self.fail_after is not None and number >= self.fail_after:
                raise TimeoutError("no answer; token=sesame")
            record = change.record
            if change.new is None:
                del content[record.name, record._type]
            else:
                content[record.name, record._type] = change.new.data

    @classmethod
    def add(cls, name: str, kind: str, ttl: int, *values: Any) -> None:
        given = {"values": list(values)} if len(values) > 1 else {"value": values[0]}
        cls.held[f"{ZONE}."][name, kind] = {"ttl": ttl, **given}


class Strange(Memory):
    """A class that wants to change more than it is asked to."""

    def _extra_changes(self, existing: Any, **_: Any) -> list[Any]:
        return [Delete(record) for record in existing.records if record.name == "www"]


class Counter:
    slept = 0.0

    def sleep(self, seconds: float, /) -> None:
        self.slept += seconds


@pytest.fixture(autouse=True)
def _empty() -> None:
    reset()


def reset() -> None:
    Memory.held.clear()
    Memory.held[f"{ZONE}."] = {}
    Memory.calls.clear()
    Memory.fail_after = None
    Memory.lenient_ttl = 0


def driver(name: str = "Memory", fleet: str = "prod", **plain: Any) -> OctoDns:
    secrets = {"token": Secret("sesame")}
    return OctoDns(Arguments(f"{__name__}.{name}", plain, secrets), fleet, Counter().sleep)


def push(wanted: list[RRset], at: OctoDns | None = None, **more: Any) -> None:
    at = at or driver()
    snapshot = at.read(ZONE)
    made = plan(snapshot, wanted, **more)
    assert at.audit(made, snapshot) == ()
    assert made.conflicts == ()
    at.apply(made, snapshot)


def desired(*extra: RRset) -> list[RRset]:
    return [
        rrset(ZONE, "TXT", 300, SPF),
        rrset(ZONE, "MX", 300, f"10 {MTA}."),
        rrset(MTA, "A", 300, "198.51.100.1", "198.51.100.2"),
        rrset(MTA, "AAAA", 300, "2001:db8:e0::1"),
        rrset(f"_dmarc.{ZONE}", "TXT", 300, txt("v=DMARC1; p=none; rua=mailto:a@shop.example")),
        rrset(f"k1._domainkey.{ZONE}", "TXT", 300, txt("v=DKIM1; k=rsa; p=" + "A" * 700)),
        rrset(f"_25._tcp.{MTA}", "TLSA", 300, "3 1 1 " + "ab" * 32),
        rrset(ZONE, "CAA", 300, '0 issue "ca.example"'),
        *extra,
    ]


def held() -> dict[Any, Any]:
    return dict(Memory.held[f"{ZONE}."])


def test_a_second_push_changes_nothing() -> None:
    push(desired())
    Memory.calls.clear()
    at = driver()
    again = plan(at.read(ZONE), desired())
    assert again.is_empty
    assert Memory.calls == ["populate"]
    # What octoDNS wants to see before a semicolon is no part of the value.
    assert held()["_dmarc", "TXT"]["value"].startswith("v=DMARC1\\; p=none")


def test_foreign_records_stay() -> None:
    Memory.add("www", "A", 60, "192.0.2.1")
    Memory.add("", "NS", 60, "ns1.example.", "ns2.example.")
    Memory.add("", "TXT", 77, "google-site-verification=abc", "a\\; b")
    before = copy.deepcopy(held())
    push(desired())
    assert set(held()["", "TXT"]["values"]) > {"google-site-verification=abc", "a\\; b"}
    assert held()["", "TXT"]["ttl"] == 77
    push([rrset(ZONE, "TXT", 300, txt("v=spf1 -all"))])
    push([])
    after = held()
    assert after.keys() == before.keys()
    assert sorted(after["", "TXT"].pop("values")) == sorted(before["", "TXT"].pop("values"))
    assert after == before


def test_two_fleets_share_a_zone() -> None:
    other = [rrset(f"mta9.{ZONE}", "A", 300, "198.51.100.9")]
    push(desired())
    push(other, driver(fleet="staging"))
    assert plan(driver().read(ZONE), desired()).is_empty
    push([])
    assert plan(driver(fleet="staging").read(ZONE), other).is_empty
    assert ("mta9", "A") in held()


def test_a_cname_makes_room() -> None:
    push([rrset(f"smtp.{ZONE}", "CNAME", 300, f"{MTA}.")])
    push([rrset(f"smtp.{ZONE}", "A", 300, "198.51.100.1")])
    assert ("smtp", "CNAME") not in held()


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_dies_half_way_is_finished_by_the_next(after: int) -> None:
    Memory.add("", "TXT", 300, "google-site-verification=abc")
    Memory.add("www", "A", 60, "192.0.2.1")
    before = foreign()
    push(desired()[:3])
    wanted = desired()[1:]
    Memory.fail_after = after
    # A step of few changes ends before it can fail.
    with contextlib.suppress(MailfleetError):
        push(wanted)
    Memory.fail_after = None
    assert foreign() == before
    push(wanted)
    assert plan(driver().read(ZONE), wanted).is_empty
    push([])
    assert foreign() == before
    assert len(held()) == 2


def foreign() -> list[str]:
    """The values that others have put there."""
    values = held()["", "TXT"]
    texts = values.get("values") or [values["value"]]
    return [text for text in texts if "google" in text] + [held()["www", "A"]["value"]]


def test_a_change_between_plan_and_push_stops_it() -> None:
    at = driver()
    snapshot = at.read(ZONE)
    made = plan(snapshot, desired())
    Memory.add("", "TXT", 300, "v=spf1 include:esp.example ~all")
    with pytest.raises(MailfleetError, match=r"shop\.example TXT was changed by somebody else"):
        at.apply(made, snapshot)
    assert "apply" not in Memory.calls


def test_a_change_after_the_claim_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    driver_now = driver()
    snapshot = driver_now.read(ZONE)
    made = plan(snapshot, desired())
    apply = Memory._apply

    def meanwhile(self: Memory, changes: Any) -> None:
        apply(self, changes)
        Memory.add("mta1.eu", "A", 60, "192.0.2.77")

    monkeypatch.setattr(Memory, "_apply", meanwhile)
    with pytest.raises(MailfleetError, match="changed by somebody else"):
        driver_now.apply(made, snapshot)
    monkeypatch.undo()
    # The claim stands, and still what is there is not taken for ours.
    again = plan(driver().read(ZONE), desired())
    assert [conflict.name for conflict in again.conflicts] == [MTA]


def test_a_class_that_would_change_more_is_stopped() -> None:
    Memory.add("www", "A", 60, "192.0.2.1")
    at = driver("Strange")
    snapshot = at.read(ZONE)
    made = plan(snapshot, desired())
    with pytest.raises(MailfleetError, match=r"would also change www\.shop\.example A"):
        at.apply(made, snapshot)
    assert list(held()) == [("www", "A")]


def test_a_class_that_keeps_other_ttls_is_told() -> None:
    Memory.lenient_ttl = 600
    with pytest.raises(MailfleetError, match="does not show"):
        push([rrset(f"a.{ZONE}", "A", 300, "192.0.2.1")])


def test_our_own_limits_hold_and_not_octodns_ones() -> None:
    many = [rrset(f"h{n}.{ZONE}", "A", 300, "198.51.100.1") for n in range(20)]
    push(many)
    made = plan(driver().read(ZONE), [])
    assert made.unsafe
    push([])
    assert held() == {}


def test_the_root_ns_is_never_touched() -> None:
    Memory.add("", "NS", 60, "ns1.example.")
    at = driver()
    assert not [r for r in at.read(ZONE).records if r.type == "NS"]


def test_a_missing_zone_is_not_created() -> None:
    with pytest.raises(MailfleetError, match=r"has no zone absent\.example\n.*create it there"):
        driver().read("absent.example")


def test_a_dynamic_record_is_in_the_way() -> None:
    Memory.held[f"{ZONE}."]["mta1.eu", "A"] = {
        "ttl": 300,
        "values": ["198.51.100.1", "198.51.100.2"],
        "dynamic": {
            "pools": {"one": {"values": [{"value": "198.51.100.1"}]}},
            "rules": [{"pool": "one"}],
        },
    }
    [conflict] = plan(driver().read(ZONE), desired()).conflicts
    assert "(dynamic)" in str(conflict)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (rrset(f"a.{ZONE}", "TXT", 300, txt('say "hi"')), "could damage"),
        (rrset(f"a.{ZONE}", "TXT", 300, txt("back\\slash")), "could damage"),
        (rrset(f"a.{ZONE}", "TXT", 300, txt(b"\xff")), "could damage"),
        (rrset(f"a.{ZONE}", "SRV", 300, f"0 1 465 {MTA}."), "writes A, AAAA"),
        (rrset("a.other.example", "A", 300, "192.0.2.1"), "outside of the zone"),
        (rrset(ZONE, "CNAME", 300, f"{MTA}."), "root CNAME not allowed"),
    ],
)
def test_what_octodns_would_refuse(record: RRset, said: str) -> None:
    at = driver()
    [problem] = map(str, at.audit(plan(snapshot := at.read(ZONE), [record]), snapshot))
    assert said in problem


def test_a_foreign_text_that_could_be_damaged_stops_it() -> None:
    Memory.add("", "TXT", 300, 'say "hi"')
    at = driver()
    [problem] = map(str, at.audit(plan(snapshot := at.read(ZONE), desired()), snapshot))
    assert "could damage" in problem


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    Memory.fail_after = 0
    with pytest.raises(MailfleetError) as caught:
        push(desired())
    assert "token=***" in str(caught.value)
    monkeypatch.setenv("PROVIDER_TOKEN", "bad")
    given = OctodnsSettings(
        octodns={"class": f"{__name__}.Memory", "token": "env/PROVIDER_TOKEN"}  # type: ignore[arg-type]
    )
    assert [name for name, _ in secrets_of(given)] == ["PROVIDER_TOKEN"]
    with pytest.raises(MailfleetError) as caught:
        open_provider(given, Fleet("prod", "inventories/prod", (), (), None))
    assert "401 for ***-token" in str(caught.value)
    assert "bad" not in repr(arguments(given.octodns))


def test_requests_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "mailfleet"):
        push([rrset(f"a.{ZONE}", "A", 300, "192.0.2.1")])
        Memory.fail_after = 0
        with pytest.raises(MailfleetError):
            push(desired())
    path = driver().label
    assert f"{path}: read the zone {ZONE}: done" in caplog.messages
    assert any(text.startswith(f"{path}: change the zone {ZONE}: ") for text in caplog.messages)
    assert "token" not in caplog.text


def test_a_missing_extra_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "octodns", None)
    with pytest.raises(MailfleetError, match=r"pip install 'mailfleet\[octodns\]'"):
        driver()


names = st.sampled_from([ZONE, f"a.{ZONE}", f"_dmarc.{ZONE}", f"k._domainkey.{ZONE}"])
printable = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'),
    min_size=1,
    max_size=600,
)
addresses = st.integers(1, 6).map(lambda n: f"203.0.113.{n}")


def _sets(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[RRset]]:
    kinds = [("A", addresses), ("TXT", text.map(txt))]
    one = st.one_of(
        *(
            st.builds(
                lambda name, ttl, values, kind=kind: rrset(name, kind, ttl, *values),
                names,
                st.sampled_from([60, 300]),
                st.lists(value, min_size=1, max_size=3),
            )
            for kind, value in kinds
        )
    )
    return st.lists(one, max_size=6, unique_by=lambda record: record.key)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_sets(printable), _sets(printable), _sets(printable))
def test_push_then_plan_is_empty(
    foreign: list[RRset], first: list[RRset], second: list[RRset]
) -> None:
    reset()
    at = driver()
    push(foreign, driver(fleet="other"))
    for key in [key for key in held() if key[0].startswith("_mailfleet")]:
        del Memory.held[f"{ZONE}."][key]
    before = at.read(ZONE).records
    for wanted in (first, second, []):
        snapshot = at.read(ZONE)
        made = plan(snapshot, wanted)
        at.apply(made, snapshot)
        assert plan(at.read(ZONE), wanted).is_empty
        have = {record.key: set(record.values) for record in at.read(ZONE).records}
        for record in before:
            assert set(record.values) <= have[record.key]
    assert at.read(ZONE).records == before
