"""From what a zone should hold and what it holds to the changes between them.

Only values that we own are changed. A desired record that is there already is left alone, whoever
made it; one that stands in the way of ours and is not ours is a conflict, which is explained and
never overwritten. What we own and no longer want is deleted, unless it is to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan.change import Change, Kind
from mailfleet.dns.plan.conflicts import Conflict, conflicts_of, covered
from mailfleet.dns.plan.order import ordered
from mailfleet.dns.plan.ownership import Owned, Slot, slot_of, slots_of
from mailfleet.dns.plan.spf_change import SpfChange, is_spf
from mailfleet.dns.rrset import RRset
from mailfleet.dns.spf.terms import spf_records

# octoDNS's limits (Plan.raise_if_unsafe): enough records to speak of a share, and the share that a
# mistake exceeds.
_ENOUGH = 10
_SHARE = 0.3


@dataclass(frozen=True)
class Zone:
    """What a provider holds: the RRsets of a zone and what of them is the fleet's."""

    name: str
    records: tuple[RRset, ...]
    owned: Owned = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to do to one zone. The changes stand in the order of `mailfleet.dns.plan.order`."""

    zone: str
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...]
    owned_before: Owned
    owned_after: Owned
    existing: int
    """How many RRsets with owned values the zone holds now."""
    adopted: frozenset[Slot] = frozenset()
    """What stood there already and becomes ours by request."""
    held: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By name and type, why a record set is left as it is although nothing foreign is in its way."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do, not even to the list of what is owned."""
        return not self.changes and self.owned_before == self.owned_after

    def count(self, kind: Kind) -> int:
        return sum(change.kind == kind for change in self.changes)

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Why the plan needs force; empty where it does not.

        What only adds, be it values to a record set that is there, breaks nothing and does not count.
        """
        gone = self.count("delete")
        if gone and gone >= self.existing > 1:
            return (f"would delete all {gone} of our records",)
        if self.existing < _ENOUGH:
            return ()
        replaced = sum(c.kind == "update" and not _only_adds(c) for c in self.changes)
        return tuple(
            f"would {word} {count} of our {self.existing} records, more than {_SHARE:.0%}"
            for word, count in (("change", replaced), ("delete", gone))
            if count > self.existing * _SHARE
        )


def plan(
    zone: Zone,
    desired: Iterable[RRset],
    *,
    keep: Callable[[str], bool] = lambda _: False,
    adopt: Collection[str] = (),
    lookup: Lookup | None = None,
) -> Plan:
    """What brings `zone` to `desired`.

    Owned records whose name `keep` accepts are not deleted. `adopt` holds patterns NAME/TYPE, with
    `*` for any characters: records there that stand in our way become ours. `lookup` tells whether
    a name that something foreign answers for leads to what is wanted there.
    """
    wanted = {record.key: record for record in desired}
    have = {record.key: record for record in zone.records}
    have_slots = slots_of(have.values())
    right, conflicts = covered(zone.name, wanted, have, zone.owned, adopt, lookup)
    wanted = {key: record for key, record in wanted.items() if key not in right}
    want_slots = slots_of(wanted.values())
    blocked = {slot for conflict in conflicts for slot in conflict.wanted}
    open_slots = {slot: values for slot, values in want_slots.items() if slot not in blocked}
    adopted, others = conflicts_of(open_slots, have_slots, zone.owned, adopt)
    conflicts = (*conflicts, *others)
    blocked |= {slot for conflict in others for slot in conflict.wanted}
    # Who adopts a slot takes all that stands there.
    owned = {**zone.owned, **{slot: have_slots[slot] for slot in adopted}}
    open_slots = {slot: values for slot, values in want_slots.items() if slot not in blocked}
    after = _owned_after(open_slots, have_slots, owned)
    after |= {slot: zone.owned[slot] for slot in blocked & zone.owned.keys()}
    leaving = {slot for slot in owned.keys() - want_slots.keys() if not keep(slot.name)}
    after |= {slot: owned[slot] for slot in owned.keys() - want_slots.keys() - leaving}
    replace = {slot for slot in open_slots if owned.get(slot) or slot not in have_slots}
    replace |= leaving & have_slots.keys()

    changes = []
    by_key: dict[tuple[str, str], set[Slot]] = {}
    for slot in replace:
        by_key.setdefault((slot.name, slot.type), set()).add(slot)
    for key, slots in sorted(by_key.items()):
        change = Change(have.get(key), _merge(key, have.get(key), wanted.get(key), slots, owned))
        if change.old != change.new:
            changes.append(change)
    existing = len({(slot.name, slot.type) for slot in zone.owned.keys() & have_slots.keys()})
    return Plan(
        zone=zone.name,
        changes=ordered(changes),
        conflicts=conflicts,
        owned_before=zone.owned,
        owned_after=after,
        existing=existing,
        adopted=adopted,
    )


def held(plan: Plan, reasons: Mapping[tuple[str, str], str]) -> Plan:
    """`plan` without the changes at these names and types, each with the reason why.

    What makes room for one of them stays as well, and so does what is owned there.
    """
    changing = {change.key for change in plan.changes}
    names = {name for name, _ in reasons.keys() & changing}
    aliases = {name for name, rtype in changing if rtype == "CNAME" and name in names}
    together = {key: "its name is left as it is" for key in changing if key[0] in aliases}
    waiting = {key: reason for key, reason in {**together, **reasons}.items() if key in changing}
    if not waiting:
        return plan
    after = {s: v for s, v in plan.owned_after.items() if (s.name, s.type) not in waiting}
    after |= {s: v for s, v in plan.owned_before.items() if (s.name, s.type) in waiting}
    changes = tuple(change for change in plan.changes if change.key not in waiting)
    return replace(plan, changes=changes, owned_after=after, held={**plan.held, **waiting})


def _only_adds(change: Change) -> bool:
    """Whether all that an update finds stays: the values, or what an SPF record permits, and the TTL."""
    if change.old is None or change.new is None or change.old.ttl != change.new.ttl:
        return False
    removed = change.removed
    if is_spf(change) and SpfChange(change).only_adds:
        removed -= {value for value in removed if spf_records((value,))}
    return not removed


def _owned_after(want: Owned, have: Owned, owned: Owned) -> dict[Slot, frozenset[str]]:
    """What is ours of what is wanted, once it is there."""
    after: dict[Slot, frozenset[str]] = {}
    for slot, values in want.items():
        # Wanted by us, and somebody else's already: it stays theirs.
        ours = values - (have.get(slot, frozenset()) - owned.get(slot, frozenset()))
        if ours and (owned.get(slot) or slot not in have):
            after[slot] = ours
    return after


def _merge(
    key: tuple[str, str], old: RRset | None, new: RRset | None, replace: set[Slot], owned: Owned
) -> RRset | None:
    """`old` with our values of the replaced slots taken from `new`."""
    foreign = {
        value
        for value in (old.values if old else ())
        if (slot := slot_of(*key, value)) not in replace or value not in owned.get(slot, ())
    }
    ours = {v for v in (new.values if new else ()) if slot_of(*key, v) in replace}
    if not (foreign or ours):
        return None
    # One RRset, one TTL (RFC 2181 §5.2): among foreign values theirs stays.
    source = old if foreign or new is None else new
    return RRset(*key, source.ttl if source else 0, tuple(sorted(foreign | ours)))
