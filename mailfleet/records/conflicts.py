"""Foreign records in the way of ours: each is explained, none is overwritten."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mailfleet.records.ownership import Owned, Slot

Slots = Mapping[Slot, frozenset[str]]

_WHY = {
    "spf1": "two SPF records at one name are an error to every receiver (RFC 7208 §4.5)",
    "dmarc1": "with two DMARC records at one name receivers apply none (RFC 9989 §4.10)",
}


@dataclass(frozen=True)
class Conflict:
    """A record that is not ours, where ours should be."""

    name: str
    type: str
    existing: tuple[str, ...]
    wanted: tuple[Slot, ...]
    """Our slots that have to wait until it is solved."""
    reason: str
    remedy: str

    def __str__(self) -> str:
        values = " | ".join(self.existing)
        return f"{self.name} {self.type} {values}: {self.reason}; {self.remedy}"


def conflicts_of(
    zone: str, want: Slots, have: Slots, owned: Owned, adopt: Collection[str]
) -> tuple[frozenset[Slot], tuple[Conflict, ...]]:
    """The existing slots that `adopt` makes ours, and what remains in the way."""
    adopted: set[Slot] = set()
    conflicts: dict[tuple[str, str, str], Conflict] = {}
    for found, conflict in _candidates(zone, want, have, owned):
        if found is not None and matches(found, adopt):
            adopted.add(found)
        elif conflict is not None:
            key = (conflict.name, conflict.type, found.tag if found else "")
            before = conflicts.get(key)
            wanted = (*before.wanted, *conflict.wanted) if before else conflict.wanted
            conflicts[key] = Conflict(
                conflict.name,
                conflict.type,
                conflict.existing,
                wanted,
                conflict.reason,
                conflict.remedy,
            )
    return frozenset(adopted), tuple(conflicts.values())


def _candidates(
    zone: str, want: Slots, have: Slots, owned: Owned
) -> Iterator[tuple[Slot | None, Conflict | None]]:
    cuts = {slot.name for slot in have if slot.type == "NS" and slot.name != zone}
    types: dict[str, list[Slot]] = {}
    for slot in have:
        types.setdefault(slot.name, []).append(slot)
    for slot, values in want.items():
        if cut := _cut_above(slot.name, zone, cuts):
            yield None, _delegated(cut, slot, have)
            continue
        ours = owned.get(slot, frozenset())
        if foreign := have.get(slot, frozenset()) - ours:
            # Of each kind of text there must be one; addresses and mail servers may be several
            # parties', as long as ours are among them.
            others_allowed = slot.type != "TXT" or foreign <= values
            fine = others_allowed and (bool(ours) or values <= foreign)
            found = _second if ours else _edited if slot in owned else _occupied
            # What is fine may be adopted all the same.
            yield slot, None if fine else found(slot, foreign)
        for other in types.get(slot.name, ()):
            # RFC 1034 §3.6.2: beside a CNAME there is nothing else. One that we own and no longer
            # want is deleted anyway.
            if (other.type == "CNAME") != (slot.type == "CNAME") and other not in owned:
                yield other, _beside_cname(slot, other, have[other])


def _occupied(slot: Slot, existing: frozenset[str]) -> Conflict:
    reason = _WHY.get(slot.tag, "it differs from what the fleet needs")
    return _conflict(slot, existing, slot, f"is not ours, and {reason}")


def _edited(slot: Slot, existing: frozenset[str]) -> Conflict:
    return _conflict(slot, existing, slot, "stands where ours was, so somebody has put it there")


def _second(slot: Slot, existing: frozenset[str]) -> Conflict:
    why = _WHY.get(slot.tag, "receivers would not know which one to read")
    return _conflict(slot, existing, slot, f"stands there beside ours, and {why}")


def _beside_cname(wanted: Slot, other: Slot, existing: frozenset[str]) -> Conflict:
    reason = f"is not ours, and beside it there can be no {wanted.type} (RFC 1034 §3.6.2)"
    return _conflict(other, existing, wanted, reason)


def _conflict(found: Slot, existing: frozenset[str], wanted: Slot, reason: str) -> Conflict:
    remedy = (
        "move what it says into the domain file, then let this fleet replace it: mailfleet dns push "
        f"INVENTORY --adopt '{found.name}/{found.type}'"
    )
    return Conflict(found.name, found.type, tuple(sorted(existing)), (wanted,), reason, remedy)


def _delegated(cut: str, wanted: Slot, have: Slots) -> Conflict:
    values = tuple(sorted(have[Slot(cut, "NS")]))
    reason = f"delegates {cut} to another zone, which hides {wanted.name} here"
    remedy = f'give {cut} a domain file of its own, or set zone = "{cut}" in [dns] of its file'
    return Conflict(cut, "NS", values, (wanted,), reason, remedy)


def _cut_above(name: str, zone: str, cuts: Collection[str]) -> str | None:
    while name and name != zone:
        if name in cuts:
            return name
        name = name.partition(".")[2]
    return None


def matches(slot: Slot, adopt: Collection[str]) -> bool:
    """Whether one of the patterns NAME/TYPE means the slot."""
    target = f"{slot.name}/{slot.type}".lower()
    return any(fnmatchcase(target, pattern.lower().replace("./", "/")) for pattern in adopt)
