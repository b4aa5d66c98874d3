"""Which records of a zone are ours: we change and delete nothing else.

What is owned are values, by slot. A slot is a name and type, and within a TXT RRset, which different
parties share, the values of one kind ("v=spf1", "v=DMARC1"). A provider without labels or comments
keeps the list of owned slots in the zone itself, in TXT records at `_mailfleet.<zone>`, with a digest
of each value:

    "v=mailfleet1 fleet=prod @/MX=9f86d08188,TXT:spf1=60303ae22b mta1.eu/A=fd61a03af4+a4e624d686"

So a zone can be handed from one operator's machine to another, several fleets can share one, and a
value that somebody else puts beside ours is told from ours.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailfleet.dns.rrset import RRset, octets, rrset, txt

_TAG = re.compile(rb"v([ \t]*)=([ \t]*)([a-z0-9]{1,16})(?=[\s;]|$)", re.IGNORECASE)
_LIST = re.compile(r"_mailfleet(-[0-9]+)?\.")
_VALUE_OCTETS = 1000
_DIGEST = 10
# So that no entry is longer than a value.
_DIGESTS = 40
# A message holds 64 KiB (RFC 1035 §4.2.2), and an update carries old and new values.
_VALUES = 16


@dataclass(frozen=True, order=True)
class Slot:
    """What one party can own: a name and type, in TXT the values of one kind."""

    name: str
    type: str
    tag: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.type}" + (f" ({self.tag})" if self.tag else "")


def slot_of(name: str, rtype: str, value: str) -> Slot:
    """The slot that a canonical value fills."""
    if rtype != "TXT":
        return Slot(name, rtype)
    if "._domainkey." in name:
        # RFC 6376 §3.6.1: "v=" is optional in a key record.
        return Slot(name, rtype, "dkim1")
    content = octets(value)
    match = _TAG.match(content)
    # RFC 9989 §4.8 allows blanks around the "=", RFC 7208 §4.5 does not.
    if match and not ((match[1] or match[2]) and match[3].lower() == b"spf1"):
        return Slot(name, rtype, match[3].decode().lower())
    # No version tag: the value itself is the kind, so that nobody owns a neighbour's.
    return Slot(name, rtype, "x" + hashlib.sha256(content).hexdigest()[:12])


Owned = Mapping[Slot, frozenset[str]]
"""By slot, the values that are ours, in canonical form; empty where they have gone from the zone."""


def slots_of(records: Iterable[RRset]) -> dict[Slot, frozenset[str]]:
    """The values of the records by slot."""
    slots: dict[Slot, set[str]] = {}
    for record in records:
        for value in record.values:
            slots.setdefault(slot_of(*record.key, value), set()).add(value)
    return {slot: frozenset(values) for slot, values in slots.items()}


def union(one: Owned, other: Owned) -> Owned:
    """What is in either."""
    empty: frozenset[str] = frozenset()
    return {slot: one.get(slot, empty) | other.get(slot, empty) for slot in (*one, *other)}


def is_list(name: str, zone: str) -> bool:
    """Whether `name` holds a part of the list of owned slots."""
    match = _LIST.match(name)
    return match is not None and name[match.end() :] == zone


def read_list(zone: str, fleet: str, existing: Iterable[RRset]) -> Owned:
    """What the fleet owns of `zone`, from all records of the zone.

    A value that was edited is not ours any more: nothing tells it from one that somebody else has put
    in the place of ours.
    """
    records = list(existing)
    marks: dict[Slot, set[str]] = {}
    for record in records:
        if record.type == "TXT" and is_list(record.name, zone):
            for value in record.values:
                for slot, digests in _decode(zone, fleet, octets(value)):
                    marks.setdefault(slot, set()).update(digests)
    have = slots_of(records)
    owned: dict[Slot, frozenset[str]] = {}
    for slot, known in marks.items():
        values = have.get(slot, frozenset())
        owned[slot] = frozenset(value for value in values if _digest(value) in known)
    return owned


def write_list(
    zone: str, fleet: str, owned: Owned, existing: Iterable[RRset], ttl: int
) -> tuple[RRset, ...]:
    """The records that hold the list, with the values of other fleets that stand there.

    An RRset without values is to be deleted.
    """
    foreign: dict[str, tuple[str, ...]] = {}
    for record in existing:
        if record.type == "TXT" and is_list(record.name, zone):
            kept = tuple(v for v in record.values if not _is_ours(fleet, octets(v)))
            foreign[record.name] = kept
    values = [txt(content) for content in _encode(zone, fleet, owned)]
    ours: dict[str, list[str]] = {}
    for number in itertools.count(1):
        if not values:
            break
        name = f"_mailfleet.{zone}" if number == 1 else f"_mailfleet-{number}.{zone}"
        room = max(0, _VALUES - len(foreign.get(name, ())))
        ours[name], values = values[:room], values[room:]
    return tuple(
        rrset(name, "TXT", ttl, *foreign.get(name, ()), *ours.get(name, ()))
        for name in sorted(foreign.keys() | ours.keys())
    )


def _encode(zone: str, fleet: str, owned: Owned) -> Iterator[bytes]:
    start = line = f"v=mailfleet1 fleet={fleet}"
    last = ""
    for slot, text in _entries(owned):
        relative = "@" if slot.name == zone else slot.name.removesuffix(f".{zone}")
        entry = f",{text}" if relative == last else f" {relative}/{text}"
        if len(line) + len(entry) > _VALUE_OCTETS and line != start:
            yield line.encode()
            line, entry = start, f" {relative}/{text}"
        line, last = line + entry, relative
    if line != start:
        yield line.encode()


def _entries(owned: Owned) -> Iterator[tuple[Slot, str]]:
    for slot in sorted(owned):
        kind = f"{slot.type}:{slot.tag}" if slot.tag else slot.type
        digests = sorted(map(_digest, owned[slot]))
        for at in range(0, len(digests), _DIGESTS):
            yield slot, f"{kind}={'+'.join(digests[at : at + _DIGESTS])}"
        if not digests:
            yield slot, kind


def _decode(zone: str, fleet: str, content: bytes) -> Iterator[tuple[Slot, frozenset[str]]]:
    if not _is_ours(fleet, content):
        return
    for entry in content.decode(errors="replace").split(" ")[2:]:
        # The name may hold a "/" (RFC 2317); what follows it never does.
        relative, _, slots = entry.rpartition("/")
        name = zone if relative == "@" else f"{relative}.{zone}"
        for slot in slots.split(",") if relative else ():
            kind, _, digests = slot.partition("=")
            rtype, _, tag = kind.partition(":")
            yield Slot(name, rtype, tag), frozenset(filter(None, digests.split("+")))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:_DIGEST]


def _is_ours(fleet: str, content: bytes) -> bool:
    return content.split(b" ")[:2] == [b"v=mailfleet1", f"fleet={fleet}".encode()]
