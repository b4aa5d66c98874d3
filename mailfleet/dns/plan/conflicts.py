"""Foreign records in the way of ours: each is explained, none is overwritten."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan import hidden
from mailfleet.dns.plan.ownership import Owned, Slot, slot_of
from mailfleet.dns.rrset import RRset, canonical_name

Key = tuple[str, str]
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


def covered(
    zone: str,
    want: Mapping[Key, RRset],
    have: Mapping[Key, RRset],
    owned: Owned,
    adopt: Collection[str],
    lookup: Lookup | None,
) -> tuple[frozenset[Key], tuple[Conflict, ...]]:
    """The wanted records that stand where a foreign alias or delegation leads, and those that do not.

    An alias that is ours, or that `adopt` makes ours, makes room.
    """
    right: set[Key] = set()
    conflicts: dict[RRset, Conflict] = {}
    ours = {Slot(*key) for key in have if key[1] == "CNAME" and Slot(*key) in owned}
    for key, record in want.items():
        cover = hidden.cover_of(record, zone, have)
        if cover is None:
            continue
        slot = Slot(*cover.record.key)
        if slot.type == "CNAME" and (slot in ours or matches(slot, adopt)):
            continue
        judgement = hidden.judged(record, cover, zone, have, lookup)
        if judgement.verdict == "right":
            right.add(key)
        else:
            known = conflicts.get(cover.record)
            conflicts[cover.record] = _covering(record, cover, judgement, known)
    return frozenset(right), tuple(conflicts.values())


def _covering(
    record: RRset, cover: hidden.Cover, judgement: hidden.Judgement, known: Conflict | None
) -> Conflict:
    """What is said of the first record that it covers; all that it covers wait."""
    slots = tuple({slot_of(*record.key, value): None for value in record.values})
    if known is not None:
        return replace(known, wanted=(*known.wanted, *slots))
    name, rtype = cover.record.key
    values = cover.record.values
    leads = f"{record.name} {record.type} answers there: it {judgement.text}"
    if judgement.verdict == "unknown":
        leads = f"what {record.name} {record.type} answers there is not known: {judgement.text}"
    entry = " | ".join(record.values)
    if rtype == "NS":
        reason = f"delegates {name} to another zone, which hides {record.name} here; {leads}"
        remedy = (
            f'give {name} a domain file of its own, or set zone = "{name}" in [dns] of its file'
        )
        if name.endswith(".arpa"):
            remedy = f"have whoever serves {name} enter {record.name}. {record.type} {entry}"
        return Conflict(name, rtype, values, slots, reason, remedy)
    reason = (
        f"is not ours, and beside it there can be no {record.type} (RFC 1034 §3.6.2); {leads}"
        if rtype == "CNAME"
        else f"is not ours, and hides {record.name} (RFC 6672 §2.4); {leads}"
    )
    remedy = f"have {cover.target}. {record.type} {entry} entered there"
    if judgement.verdict == "unknown":
        remedy = "run the command again once it can be looked up"
    if rtype == "CNAME" and not name.endswith(".arpa"):
        remedy += f", or let this fleet replace the alias: {_adopting(Slot(name, rtype))}"
    return Conflict(name, rtype, values, slots, reason, remedy)


def conflicts_of(
    want: Slots, have: Slots, owned: Owned, adopt: Collection[str]
) -> tuple[frozenset[Slot], tuple[Conflict, ...]]:
    """The existing slots that `adopt` makes ours, and what remains in the way."""
    adopted: set[Slot] = set()
    conflicts: dict[Slot, Conflict] = {}
    for slot, values in want.items():
        for candidate, conflict in _candidates(slot, values, have, owned):
            if matches(candidate, adopt):
                adopted.add(candidate)
            elif conflict is not None:
                before = conflicts.get(candidate)
                wanted = (*before.wanted, slot) if before else (slot,)
                conflicts[candidate] = replace(conflict, wanted=wanted)
    return frozenset(adopted), tuple(conflicts.values())


def _candidates(
    slot: Slot, values: frozenset[str], have: Slots, owned: Owned
) -> Iterator[tuple[Slot, Conflict | None]]:
    ours = owned.get(slot, frozenset())
    if foreign := have.get(slot, frozenset()) - ours:
        # Of each kind of text there must be one; addresses and mail servers may be several
        # parties', as long as ours are among them.
        others_allowed = slot.type != "TXT" or foreign <= values
        fine = others_allowed and (bool(ours) or values <= foreign)
        conflict_with = _second if ours else _edited if slot in owned else _occupied
        # What is fine may be adopted all the same.
        yield slot, None if fine else conflict_with(slot, foreign)
    # An alias at our name, which must go for ours; one that is ours goes by itself.
    alias = Slot(slot.name, "CNAME")
    if slot.type != "CNAME" and alias in have and alias not in owned:
        yield alias, None


def _occupied(slot: Slot, existing: frozenset[str]) -> Conflict:
    reason = _WHY.get(slot.tag, "it differs from what the fleet needs")
    return _conflict(slot, existing, slot, f"is not ours, and {reason}")


def _edited(slot: Slot, existing: frozenset[str]) -> Conflict:
    return _conflict(slot, existing, slot, "stands where ours was, so somebody has put it there")


def _second(slot: Slot, existing: frozenset[str]) -> Conflict:
    why = _WHY.get(slot.tag, "receivers would not know which one to read")
    return _conflict(slot, existing, slot, f"stands there beside ours, and {why}")


def _conflict(slot: Slot, existing: frozenset[str], wanted: Slot, reason: str) -> Conflict:
    remedy = (
        f"move what it says into the domain file, then let this fleet replace it: {_adopting(slot)}"
    )
    return Conflict(slot.name, slot.type, tuple(sorted(existing)), (wanted,), reason, remedy)


def _adopting(slot: Slot) -> str:
    return f"mailfleet dns push INVENTORY --adopt '{slot.name}/{slot.type}'"


def matches(slot: Slot, adopt: Collection[str]) -> bool:
    """Whether one of the patterns NAME/TYPE means the slot."""
    target = f"{slot.name}/{slot.type}".lower()
    return any(fnmatchcase(target, _pattern(text)) for text in adopt)


def _pattern(text: str) -> str:
    """The pattern as names are kept: A-labels in lower case, without a trailing dot."""
    name, _, rtype = text.rpartition("/")
    return (
        f"{canonical_name(name) if not name.isascii() else name.removesuffix('.')}/{rtype}".lower()
    )
