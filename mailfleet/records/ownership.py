"""Which records of a zone are ours: we change and delete nothing else.

What is owned is a slot: a name and type, and within a TXT RRset, which different parties share, the
values of one kind ("v=spf1", "v=DMARC1"). A provider without labels or comments keeps the list of
owned slots in the zone itself, in TXT records at `_mailfleet.<zone>`:

    "v=mailfleet1 fleet=prod @/MX,TXT:spf1 _dmarc/TXT:dmarc1 mta1.eu/A,AAAA"

So a zone can be handed from one operator's machine to another, and several fleets can share one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailfleet.records.rrset import RRset, octets, rrset, txt

_TAG = re.compile(rb"v=([a-z0-9]{1,16})(?=[\s;]|$)", re.IGNORECASE)
_LIST = re.compile(r"_mailfleet(-[0-9]+)?\.")
_VALUE_OCTETS = 1000
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
    if match:
        return Slot(name, rtype, match[1].decode().lower())
    # No version tag: the value itself is the kind, so that nobody owns a neighbour's.
    return Slot(name, rtype, "x" + hashlib.sha256(content).hexdigest()[:12])


def is_list(name: str, zone: str) -> bool:
    """Whether `name` holds a part of the list of owned slots."""
    match = _LIST.match(name)
    return match is not None and name[match.end() :] == zone


def read_list(zone: str, fleet: str, existing: Iterable[RRset]) -> frozenset[Slot]:
    """The slots of `zone` that the fleet owns, from the records of the zone."""
    found: set[Slot] = set()
    for record in existing:
        if record.type == "TXT" and is_list(record.name, zone):
            for value in record.values:
                found.update(_decode(zone, fleet, octets(value)))
    return frozenset(found)


def write_list(
    zone: str, fleet: str, owned: Iterable[Slot], existing: Iterable[RRset], ttl: int
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
    parts = [values[at : at + _VALUES] for at in range(0, len(values), _VALUES)]
    names = [f"_mailfleet.{zone}", *(f"_mailfleet-{n}.{zone}" for n in range(2, len(parts) + 1))]
    ours = dict(zip(names, parts, strict=False))
    return tuple(
        rrset(name, "TXT", ttl, *foreign.get(name, ()), *ours.get(name, ()))
        for name in sorted(foreign.keys() | ours.keys())
    )


def _encode(zone: str, fleet: str, owned: Iterable[Slot]) -> Iterator[bytes]:
    names: dict[str, list[str]] = {}
    for slot in sorted(owned):
        text = f"{slot.type}:{slot.tag}" if slot.tag else slot.type
        names.setdefault(slot.name, []).append(text)
    start = line = f"v=mailfleet1 fleet={fleet}"
    for name, slots in names.items():
        relative = "@" if name == zone else name.removesuffix(f".{zone}")
        entry = f" {relative}/{','.join(slots)}"
        if len(line) + len(entry) > _VALUE_OCTETS and line != start:
            yield line.encode()
            line = start
        line += entry
    if line != start:
        yield line.encode()


def _decode(zone: str, fleet: str, content: bytes) -> Iterator[Slot]:
    if not _is_ours(fleet, content):
        return
    for entry in content.decode(errors="replace").split(" ")[2:]:
        # The name may hold a "/" (RFC 2317); a type never does.
        relative, _, slots = entry.rpartition("/")
        name = zone if relative == "@" else f"{relative}.{zone}"
        for slot in slots.split(",") if relative else ():
            rtype, _, tag = slot.partition(":")
            yield Slot(name, rtype, tag)


def _is_ours(fleet: str, content: bytes) -> bool:
    return content.split(b" ")[:2] == [b"v=mailfleet1", f"fleet={fleet}".encode()]
