"""Publishing over several zones: what is kept, what is limited, what stops everything."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet import publishing
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, HostEntry, ProviderSettings, build_fleet
from mailfleet.publishing import prepare, publish
from mailfleet.records import Plan, PublicKey, RRset, Slot, Zone, rrset
from mailfleet.records.dkim import HostKeys
from mailfleet.records.rrset import txt

pytestmark = pytest.mark.unit

DNS = {"provider": "rfc2136", "server": "192.0.2.53", "key": "k"}
STREAM = {"logins": ["app"]}
EU, US = "mta1.eu.shop.example", "mta1.us.shop.example"
KEYS = {
    EU: HostKeys((PublicKey("shop.example", "mta1-eu-1", "QQ=="),), True),
    US: HostKeys((PublicKey("shop.example", "mta1-us-1", "Qg=="),), True),
}


class Memory:
    """A provider in memory: every zone it is asked for exists."""

    label = "memory"

    def __init__(self) -> None:
        self.zones: dict[str, dict[tuple[str, str], RRset]] = {}
        self.owned: dict[str, frozenset[Slot]] = {}

    def read(self, zone: str) -> Zone:
        content = self.zones.setdefault(zone, {})
        return Zone(zone, tuple(content.values()), self.owned.get(zone, frozenset()))

    def audit(self, plan: Plan) -> tuple[str, ...]:
        return tuple(f"refuses {c.key[0]}" for c in plan.changes if c.key[0].startswith("bad."))

    def apply(self, plan: Plan) -> None:
        for change in plan.changes:
            self.zones[plan.zone].pop(change.key, None)
            if change.new:
                self.zones[plan.zone][change.key] = change.new
        self.owned[plan.zone] = plan.owned_after

    def reverse_zone(self, address: Address) -> str | None:
        return "113.0.203.in-addr.arpa" if str(address).startswith("203.0.113.") else None


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()

    def opened(settings: ProviderSettings, fleet: Fleet) -> Memory:
        return memory

    monkeypatch.setattr(publishing, "open_driver", opened)
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
    assert len(done) == 2
    again = prepare(fleet(), KEYS)
    assert again.is_empty
    assert again.problems == ()


def test_a_domain_without_provider_is_told(server: Memory) -> None:
    notes = prepare(fleet(), KEYS).notes
    assert any(note.startswith("other.example: no [dns] provider") for note in notes)
    assert set(server.zones) == {"shop.example", "113.0.203.in-addr.arpa"}


@pytest.mark.parametrize(
    ("known", "note"),
    [
        ({EU: KEYS[EU]}, "was not read"),
        ({EU: KEYS[EU], US: HostKeys((), False)}, "has no DKIM key yet"),
    ],
)
def test_keys_of_hosts_that_are_not_read_stay(
    server: Memory, known: dict[str, HostKeys], note: str
) -> None:
    publish(prepare(fleet(), KEYS))
    limited = prepare(fleet(), known)
    assert limited.is_empty
    assert any(note in text for text in limited.notes)


def test_a_key_that_its_host_dropped_is_deleted(server: Memory) -> None:
    old = PublicKey("shop.example", "mta1-eu-0", "Qw==")
    publish(prepare(fleet(), {**KEYS, EU: HostKeys((*KEYS[EU].keys, old), True)}))
    assert (old.name, "TXT") in server.zones["shop.example"]
    publish(prepare(fleet(), KEYS))
    assert (old.name, "TXT") not in server.zones["shop.example"]


def test_one_domain_only(server: Memory) -> None:
    both = fleet(dns=DNS)
    publish(prepare(both, KEYS, domain="shop.example"))
    assert "other.example" not in server.zones
    publish(prepare(both, KEYS))
    assert prepare(both, KEYS, domain="other.example").is_empty


def test_a_conflict_anywhere_stops_everything(server: Memory) -> None:
    foreign = rrset("_dmarc.shop.example", "TXT", 60, txt("v=DMARC1; p=reject"))
    server.zones["shop.example"] = {foreign.key: foreign}
    publication = prepare(fleet(), KEYS)
    with pytest.raises(MailfleetError, match=r"--adopt '_dmarc\.shop\.example/TXT'"):
        publish(publication)
    assert server.zones["shop.example"] == {foreign.key: foreign}
    assert server.zones["113.0.203.in-addr.arpa"] == {}
    publish(prepare(fleet(), KEYS, adopt=["_dmarc.shop.example/TXT"]))
    assert prepare(fleet(), KEYS).is_empty


def test_an_address_without_reverse_zone_is_a_problem(server: Memory) -> None:
    [problem] = prepare(fleet(us="198.51.100.2"), KEYS).problems
    assert "198.51.100.2" in problem


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
        tables.reverse_dns,
        tables.lab,
    )
    with pytest.raises(MailfleetError, match="--force"):
        publish(prepare(slow, KEYS))
    publish(prepare(slow, KEYS, force=True))
    assert prepare(slow, KEYS).is_empty
