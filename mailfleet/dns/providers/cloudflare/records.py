"""What a zone at Cloudflare holds, record by record, and how it looks as RRsets.

A record is ours if its comment begins with the fleet's mark. Beside ours, in the same RRset, others
may have records of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailfleet.dns.plan.ownership import Slot, slot_of
from mailfleet.dns.providers.base import Snapshot
from mailfleet.dns.providers.cloudflare.convert import PROXIABLE, Fields, known_name, value_of
from mailfleet.dns.rrset import RRset

AUTOMATIC = 1
# What "automatic" is in the answers of Cloudflare's servers.
_AUTOMATIC_SECONDS = 300
# Records of our own that differ in their TTL: no TTL that anybody could want.
_UNEVEN = 0

ALIAS = "ALIAS"
"""How a CNAME at the apex is shown: Cloudflare answers with what it points to, so it stands in the
way of addresses only."""


@dataclass(frozen=True)
class Rules:
    """How a fleet's records are marked, and which names Cloudflare may put its proxy before."""

    fleet: str
    proxied: frozenset[str]
    ttl: Callable[[str], int]
    """What the domain file says of a name; a proxied record itself has no TTL."""

    @property
    def mark(self) -> str:
        return f"mailfleet:{self.fleet}"

    def is_ours(self, comment: str) -> bool:
        return comment.split()[:1] == [self.mark]

    def proxies(self, name: str, rtype: str) -> bool:
        return rtype in PROXIABLE and name in self.proxied


@dataclass(frozen=True)
class Record:
    """One record at Cloudflare."""

    id: str
    name: str
    type: str
    value: str
    ttl: int
    proxied: bool
    comment: str
    kept: dict[str, Any] = field(default_factory=dict, compare=False)
    """What else the record carries and an overwrite has to repeat."""

    @property
    def seconds(self) -> int:
        return _AUTOMATIC_SECONDS if self.ttl == AUTOMATIC else self.ttl


def record_of(record: Fields) -> Record:
    """A record as the API gives it."""
    return Record(
        id=str(record["id"]),
        name=known_name(str(record["name"])),
        type=str(record["type"]),
        value=value_of(record),
        ttl=int(record.get("ttl") or AUTOMATIC),
        proxied=bool(record.get("proxied")),
        comment=str(record.get("comment") or ""),
        kept={key: record[key] for key in ("tags", "settings") if record.get(key)},
    )


class ZoneRecords:
    """All records of one zone, as they were at one moment."""

    def __init__(self, zone: str, records: Iterable[Record], rules: Rules) -> None:
        self.zone = zone
        self.by_id: dict[str, Record] = {}
        self.rules = rules
        self._by_key: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            key = record.name, record.type
            if key in {(zone, "NS"), (zone, "SOA")}:
                continue
            if key == (zone, "CNAME"):
                key = zone, ALIAS
            self.by_id[record.id] = record
            self._by_key.setdefault(key, []).append(record)

    def at(self, key: tuple[str, str]) -> list[Record]:
        """The records of one name and type."""
        return self._by_key.get(key, [])

    def shown(self, record: Record) -> str:
        """The record's value in a plan, which tells where the proxy is not as it should be.

        Behind the proxy, DNS answers with Cloudflare's addresses and nothing but HTTP passes.
        """
        if record.proxied == self.rules.proxies(record.name, record.type):
            return record.value
        return f"{record.value} ({'proxied' if record.proxied else 'not proxied'})"

    def slot(self, record: Record) -> Slot:
        return slot_of(record.name, record.type, record.value)

    def snapshot(self) -> Snapshot[ZoneRecords]:
        """The zone for a plan."""
        rrsets: list[RRset] = []
        owned: dict[Slot, set[str]] = {}
        for key in sorted(self._by_key):
            records = self._by_key[key]
            own = [record for record in records if self.rules.is_ours(record.comment)]
            for record in own:
                owned.setdefault(self.slot(record), set()).add(self.shown(record))
            values = tuple(sorted({self.shown(record) for record in records}))
            rrsets.append(RRset(*key, self._ttl(records, own), values))
        ours = {slot: frozenset(values) for slot, values in owned.items()}
        return Snapshot(self.zone, tuple(rrsets), ours, content=self)

    def same_at(self, names: Collection[str], other: ZoneRecords) -> bool:
        """Whether both hold the same at these names."""
        return self._at_names(names) == other._at_names(names)

    def _at_names(self, names: Collection[str]) -> Mapping[str, Record]:
        return {key: record for key, record in self.by_id.items() if record.name in names}

    def _ttl(self, records: list[Record], own: list[Record]) -> int:
        if foreign := [record.seconds for record in records if record not in own]:
            return min(foreign)
        ttls = {self._own_ttl(record) for record in own}
        return ttls.pop() if len(ttls) == 1 else _UNEVEN

    def _own_ttl(self, record: Record) -> int:
        # A proxied record always has the automatic TTL.
        return self.rules.ttl(record.name) if record.proxied else record.seconds
