"""RRsets as the API writes them, and ours: names, values, TTLs and the marks of what is owned.

The comment of each value of ours says that it is ours. A label tells the people who look at an RRset of
any type but TXT, which more parties share, that mailfleet has values there. Both are written by the same
request as what they mark, save where a record is adopted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from dns.exception import DNSException
from hcloud.helpers.labels import LabelValidator
from hcloud.zones import ZoneRecord, ZoneRRSet
from hcloud.zones.domain import ZoneRRSetType

from mailfleet.dns.plan.ownership import Owned, Slot, slot_of
from mailfleet.dns.rrset import RRset, canonical_name, canonical_value, txt

TYPES = frozenset(get_args(ZoneRRSetType)) - {"SOA"}
"""What can be written. SOA is Hetzner's."""

_OWNER = "managed-by"
_FLEET = "mailfleet-fleet"


@dataclass(frozen=True)
class Record:
    """One value as the API has it, with its comment."""

    value: str
    comment: str = ""

    def to_api(self) -> ZoneRecord:
        return ZoneRecord(self.value, self.comment or None)


@dataclass(frozen=True)
class ApiRRset:
    """One RRset of the API: what it means, and how exactly it is written there."""

    rrset: RRset
    """With the TTL that holds, the zone's where the RRset has none."""
    records: tuple[Record, ...]
    labels: Mapping[str, str]
    protected: bool


ApiRRsets = Mapping[tuple[str, str], ApiRRset]
"""A zone by name and type."""


class Mark:
    """How records of one fleet are marked."""

    def __init__(self, fleet: str) -> None:
        # An inventory's name may hold what no label may.
        fits = fleet and LabelValidator.VALUE_REGEX.match(fleet)
        name = fleet if fits else f"fleet-{hashlib.sha256(fleet.encode()).hexdigest()[:16]}"
        self.labels: Mapping[str, str] = {_OWNER: "mailfleet", _FLEET: name}
        self.comment = f"{_OWNER}=mailfleet {_FLEET}={name}"

    def labelled(self, labels: Mapping[str, str]) -> bool:
        return self.labels.items() <= labels.items()

    def owned(self, rrsets: Iterable[ApiRRset]) -> Owned:
        """Our values, by their comments. The label alone tells nothing: others may add values."""
        owned: dict[Slot, set[str]] = {}
        for entry in rrsets:
            name, rtype = entry.rrset.key
            ours = [record for record in entry.records if record.comment == self.comment]
            for record in ours:
                value = canonical(rtype, record.value)
                owned.setdefault(slot_of(name, rtype, value), set()).add(value)
        return {slot: frozenset(values) for slot, values in owned.items()}


def from_api(found: ZoneRRSet, zone: str, zone_ttl: int) -> ApiRRset:
    """An RRset of the API's answer."""
    name, rtype = absolute(found.name or "@", zone), str(found.type)
    # The API leaves the comment out, or sends "" or null, where there is none.
    records = tuple(Record(r.value, r.comment or "") for r in found.records or ())
    values = tuple(sorted({canonical(rtype, record.value) for record in records}))
    ttl = zone_ttl if found.ttl is None else found.ttl
    protection = found.protection or {"change": False}
    rrset = RRset(name, rtype, ttl, values)
    return ApiRRset(rrset, records, dict(found.labels or {}), protection["change"])


def canonical(rtype: str, value: str) -> str:
    """The canonical form of a value, also of a foreign one that we would not write so."""
    if rtype == "TXT" and not value.startswith('"'):
        return txt(value)
    try:
        return canonical_value(rtype, value)
    except ValueError:
        return value


def absolute(name: str, zone: str) -> str:
    """The full name of what the API calls `name`; one that is no name of DNS as it stands."""
    try:
        return zone if name == "@" else canonical_name(f"{name}.{zone}")
    except DNSException:
        return f"{name}.{zone}".lower()


def relative(name: str, zone: str) -> str:
    """What the API calls the full name."""
    return "@" if name == zone else name.removesuffix(f".{zone}")
