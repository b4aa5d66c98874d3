"""Publishing over several zones: what is kept, what is limited, what stops everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.plan.ownership import Owned
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal, Snapshot
from mailfleet.dns.publish.prepare import PublishError, prepare, publish
from mailfleet.dns.publish.report import as_json
from mailfleet.dns.records.dkim import DkimPublicKey, HostDkimKeys
from mailfleet.dns.rrset import RRset, enclosing, rrset, txt
from mailfleet.errors import MailfleetError, RefusedError
from mailfleet.model import Address, Fleet, HostEntry, ProviderSettings, build_fleet

pytestmark = pytest.mark.unit

REVERSE = "113.0.203.in-addr.arpa"
DNS = {"provider": "rfc2136", "server": "192.0.2.53", "key": "k"}
STREAM = {"logins": ["app"]}
EU, US = "mta1.eu.shop.example", "mta1.us.shop.example"
KEYS = {
    EU: HostDkimKeys((DkimPublicKey("shop.example", "mta1-eu-1", "QQ=="),), True),
    US: HostDkimKeys((DkimPublicKey("shop.example", "mta1-us-1", "Qg=="),), True),
}


class Memory:
    """A provider in memory: every zone it is asked for exists."""

    label = "memory"

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.refuses: set[str] = set()
        self.takes_not: set[str] = set()
        self.applied = 0
        self.reverse: set[str] = set()
        self.fails_after: int | None = None
        self.forgets = 0
        self.zones: dict[str, dict[tuple[str, str], RRset]] = {}
        self.owned: dict[str, Owned] = {}

    def read(self, zone: str) -> Snapshot[None]:
        if zone in self.missing:
            raise MailfleetError("no such zone")
        content = self.zones.setdefault(zone, {})
        return Snapshot(zone, tuple(content.values()), self.owned.get(zone, {}), content=None)

    def audit(self, plan: Plan, snapshot: Snapshot[None]) -> tuple[Refusal, ...]:  # noqa: ARG002
        return tuple(
            Refusal(f"refuses {c.key[0]}", c.key) for c in plan.changes if c.key[0] in self.refuses
        )

    def apply(self, plan: Plan, snapshot: Snapshot[None]) -> None:  # noqa: ARG002
        self.applied += 1
        if bad := [c.key[0] for c in plan.changes if {c.key[0], "*"} & self.takes_not]:
            raise RefusedError(f"policy forbids {bad[0]}")
        for number, change in enumerate(plan.changes):
            if number == self.fails_after:
                raise MailfleetError("the connection was lost")
            if number < self.forgets:
                continue
            self.zones[plan.zone].pop(change.key, None)
            if change.new:
                self.zones[plan.zone][change.key] = change.new
        self.owned[plan.zone] = plan.owned_after

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        served = (REVERSE, *self.reverse)
        found = {address: enclosing(name, served) for address, name in reverse_names.items()}
        return {address: zone for address, zone in found.items() if zone is not None}


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()

    def opened(settings: ProviderSettings, fleet: Fleet) -> Provider:
        return Provider(memory)

    monkeypatch.setattr("mailfleet.dns.publish.providers.open_provider", opened)
    return memory


def fleet(us: str = "203.0.113.2", **options: Any) -> Fleet:
    hosts = [
        HostEntry("eu", EU, {"streams": {"orders": ["203.0.113.1"]}}),
        HostEntry("us", US, {"streams": {"orders": [us], "news": "orders"}}),
    ]
    news = {"logins": ["newsletter"], "tls_port": 1465, "starttls_port": 1587}
    tables: dict[str, dict[str, Any]] = {
        "shop.example": {"dns": DNS, "streams": {"orders": STREAM}},
        "other.example": {"streams": {"news": news}, **options},
    }
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files), "reverse_dns": DNS}
    return build_fleet("inventories/prod", hosts, declared, files, [])


def test_a_second_push_changes_nothing(server: Memory) -> None:
    done: list[str] = []
    publish(prepare(fleet(), KEYS), done.append)
    assert len(done) == 3
    again = prepare(fleet(), KEYS)
    assert again.is_empty
    assert again.problems == ()


def test_a_domain_without_provider_is_kept_by_hand(server: Memory) -> None:
    [entry] = [e for e in prepare(fleet(), KEYS).zones if e.plan.zone == "other.example"]
    assert entry.by_hand
    assert set(server.zones) == {"shop.example", "113.0.203.in-addr.arpa"}


@pytest.mark.parametrize(
    ("known", "note"),
    [
        ({EU: KEYS[EU]}, "was not read"),
        ({EU: KEYS[EU], US: HostDkimKeys((), False)}, "has no DKIM key yet"),
    ],
)
def test_keys_of_hosts_that_are_not_read_stay(
    server: Memory, known: dict[str, HostDkimKeys], note: str
) -> None:
    publish(prepare(fleet(), KEYS))
    limited = prepare(fleet(), known)
    assert limited.is_empty
    assert any(note in text for text in limited.notes)


def test_a_key_that_its_host_dropped_is_deleted(server: Memory) -> None:
    old = DkimPublicKey("shop.example", "mta1-eu-0", "Qw==")
    publish(prepare(fleet(), {**KEYS, EU: HostDkimKeys((*KEYS[EU].keys, old), True)}))
    assert (old.name, "TXT") in server.zones["shop.example"]
    publish(prepare(fleet(), KEYS))
    assert (old.name, "TXT") not in server.zones["shop.example"]


def test_one_domain_only(server: Memory) -> None:
    both = fleet(dns=DNS)
    publish(prepare(both, KEYS, domain="shop.example"))
    assert "other.example" not in server.zones
    publish(prepare(both, KEYS))
    assert prepare(both, KEYS, domain="other.example").is_empty


FOREIGN = rrset("_dmarc.shop.example", "TXT", 60, txt("v=DMARC1; p=reject"))


def test_a_zone_that_is_missing_stops_no_other(server: Memory) -> None:
    server.missing = {"shop.example"}
    publication = prepare(fleet(dns=DNS), KEYS)
    assert publication.problems[-1] == "shop.example: no such zone"
    # What their names lead to is not known.
    assert all(" PTR: waits for " in problem for problem in publication.problems[:-1])
    with pytest.raises(PublishError, match=r"shop\.example: no such zone"):
        publish(publication)
    assert server.zones["other.example"]
    assert server.zones[REVERSE] == {}


def test_what_was_applied_is_told_after_a_failure_and_the_rest_done_next_time(
    server: Memory,
) -> None:
    server.fails_after = 3
    with pytest.raises(PublishError) as caught:
        publish(prepare(fleet(), KEYS))
    [shop, other, reverse] = caught.value.outcome
    assert [one.state for one in (shop, other, reverse)] == ["failed", "by hand", "partial"]
    assert len(shop.applied) == 3
    assert shop.missing is not None
    text = str(caught.value)
    assert text.count("  applied: create ") == 3
    assert text.count("  not applied: create ") == len(shop.missing)
    assert "run the same command again" in text
    server.fails_after = None
    publish(prepare(fleet(), KEYS))
    assert prepare(fleet(), KEYS).is_empty


def test_what_a_provider_confirmed_and_does_not_show_is_told(server: Memory) -> None:
    server.forgets = 2
    waited: list[float] = []
    with pytest.raises(PublishError, match="confirmed the changes, and 2 are not there"):
        publish(prepare(fleet(), KEYS), pause=waited.append)
    assert waited


def test_an_address_without_reverse_zone_needs_its_owner(server: Memory) -> None:
    publication = prepare(fleet(us="198.51.100.2"), KEYS)
    assert publication.problems == ()
    [note] = [note for note in publication.notes if "198.51.100.2" in note]
    assert "2.100.51.198.in-addr.arpa. PTR orders.mta1.us.shop.example." in note


def test_an_spf_record_that_costs_too_much_stops_its_zone(server: Memory) -> None:
    includes: dict[str, Any] = {"spf": {"includes": ["spf.esp.example"]}}
    costly = txt("v=spf1 " + "exists:%{i}.esp.example " * 10 + "-all")

    def lookup(name: str, rtype: str) -> tuple[str, ...]:
        return (costly,) if (name, rtype) == ("spf.esp.example", "TXT") else ()

    publication = prepare(fleet(dns=DNS, **includes), KEYS, lookup=lookup)
    assert len(publication.problems) == 2  # the From domain and its return path
    assert "needs 11 look-ups" in publication.problems[0]
    assert (
        "    other.example: 11 look-ups\n      include:spf.esp.example: 11 look-ups"
        in (publication.problems[0])
    )

    def down(name: str, rtype: str) -> tuple[str, ...]:
        raise LookupFailedError(f"{name} does not answer")

    publication = prepare(fleet(dns=DNS, **includes), KEYS, lookup=down)
    assert publication.problems == ()
    assert any("look-ups not counted, spf.esp.example" in note for note in publication.notes)


def test_the_document_tells_the_outcome(server: Memory) -> None:
    server.fails_after = 3
    publication = prepare(fleet(), KEYS)
    planned = as_json(publication)
    assert (planned["pending"], planned["pushed"], planned["outcome"]) == (True, False, [])
    with pytest.raises(PublishError) as caught:
        publish(publication)
    document = json.loads(json.dumps(as_json(publication, caught.value.outcome)))
    assert document["pushed"] is False
    assert [len(zone["applied"]) for zone in document["outcome"]] == [3, 0, 0]


def test_an_unused_adopt_is_told(server: Memory) -> None:
    notes = prepare(fleet(), KEYS, adopt=["nowhere.example/TXT"]).notes
    assert any("--adopt nowhere.example/TXT" in note for note in notes)


def test_a_large_share_needs_force(server: Memory) -> None:
    publish(prepare(fleet(), KEYS))
    # Another address for one host moves little; a new TTL touches everything.
    tables = fleet()
    slow = Fleet(
        tables.name,
        tables.source,
        tables.regions,
        tuple(type(d)(**{**vars(d), "ttl": 60}) for d in tables.domains),
        tables.lab,
    )
    with pytest.raises(MailfleetError, match="--force"):
        publish(prepare(slow, KEYS))
    publish(prepare(slow, KEYS, force=True))
    assert prepare(slow, KEYS).is_empty


def test_a_second_host_in_a_small_fleet_needs_no_force(server: Memory) -> None:
    def grown(hosts: int) -> Fleet:
        return random_fleet(hosts, sharing=False, policy="reject", ttl=300, includes=[])

    publish(prepare(grown(1), {}))
    second = prepare(grown(2), {})
    updates = sum(entry.plan.count("update") for entry in second.zones)
    assert updates > sum(entry.plan.existing for entry in second.zones) * 0.3
    publish(second)
    assert prepare(grown(2), {}).is_empty
    # The way back takes away what others may rely on.
    with pytest.raises(MailfleetError, match="--force"):
        publish(prepare(grown(1), {}))


def test_an_mx_without_address_waits_and_nothing_else(server: Memory) -> None:
    tables = fleet(dns=DNS, mx=["other.example"], sends=True)
    with pytest.raises(PublishError, match=r"other\.example MX: other\.example has no address"):
        publish(prepare(tables, KEYS))
    assert ("other.example", "MX") not in server.zones["other.example"]
    assert ("other.example", "TXT") in server.zones["other.example"]
    # A web server that takes mail too, as with many hosting companies.
    server.zones["other.example"]["other.example", "A"] = rrset(
        "other.example", "A", 60, "192.0.2.9"
    )
    publish(prepare(tables, KEYS))
    assert server.zones["other.example"]["other.example", "MX"].values == ("10 other.example.",)


def random_fleet(hosts: int, sharing: bool, policy: str, ttl: int, includes: list[str]) -> Fleet:
    use: dict[str, Any] = {"orders": "", "news": "orders"}
    entries = []
    for number in range(1, hosts + 1):
        own = {"news": f"203.0.113.{100 + number}"} if not sharing else {}
        streams = {**use, "orders": [f"203.0.113.{number}"], **own}
        entries.append(HostEntry("eu", f"mta{number}.eu.shop.example", {"streams": streams}))
    news = {"logins": ["newsletter"], "tls_port": 1465, "starttls_port": 1587}
    common = {"dns": DNS, "ttl": ttl, "dmarc": {"policy": policy}, "spf": {"includes": includes}}
    tables: dict[str, dict[str, Any]] = {
        "shop.example": {**common, "streams": {"orders": STREAM, "news": news}},
        "parked.example": {"dns": DNS, "sends": False},
    }
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files), "reverse_dns": DNS}
    return build_fleet("inventories/prod", entries, declared, files, [])


fleets = st.builds(
    random_fleet,
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from(["none", "quarantine", "reject"]),
    st.sampled_from([60, 3600]),
    st.lists(st.sampled_from(["a.example", "b.example"]), unique=True),
)
strangers = st.lists(
    st.sampled_from(
        [
            rrset("shop.example", "TXT", 77, txt("google-site-verification=1")),
            rrset("shop.example", "MX", 77, "10 mx.office.example."),
            rrset("www.shop.example", "A", 77, "192.0.2.1"),
            rrset("shop.example", "CAA", 77, '0 issue "ca.example"'),
            rrset("_dmarc.news.shop.example", "CNAME", 77, "dmarc.esp.example."),
        ]
    ),
    unique_by=lambda record: record.key,
)


@settings(max_examples=30, deadline=None)
@given(strangers, st.lists(fleets, min_size=1, max_size=3))
def test_push_then_plan_is_empty_and_strangers_stay(
    foreign: list[RRset], wanted: list[Fleet]
) -> None:
    memory = Memory()
    memory.zones["shop.example"] = {record.key: record for record in foreign}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mailfleet.dns.publish.providers.open_provider", lambda *_: Provider(memory))
        for one in wanted:
            keys = {host.name: HostDkimKeys((), True) for host in one.hosts}
            made = prepare(one, keys, force=True)
            try:
                publish(made)
            except MailfleetError:
                assert made.problems
            else:
                again = prepare(one, keys)
                assert again.is_empty
                assert again.problems == ()
            for record in foreign:
                assert set(record.values) <= set(memory.zones["shop.example"][record.key].values)
