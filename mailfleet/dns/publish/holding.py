"""What of the zones' plans is held back: what receivers could not read, what relies on what waits, and
what changes an unusual share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan.needs import Key, Needs
from mailfleet.dns.publish.plan import UnreadZone, ZonePlan, relying
from mailfleet.dns.publish.spf_limits import spf_limit_problems
from mailfleet.dns.records.desired import Desired
from mailfleet.model import Fleet


def without_costly_spf(
    fleet: Fleet,
    zones: Iterable[ZonePlan],
    desired: Desired,
    lookup: Lookup,
    in_scope: Callable[[str], bool],
) -> tuple[list[ZonePlan], list[str]]:
    """The plans without the SPF records that receivers could not evaluate, and notes on others."""
    reasons: dict[Key, str] = {}
    notes = []
    for name, text, stops in spf_limit_problems(fleet, desired, lookup, in_scope):
        if stops:
            reasons[name, "TXT"] = text
        else:
            notes.append(text)
    return [_without(entry, reasons) for entry in zones], notes


def _without(entry: ZonePlan, reasons: dict[Key, str]) -> ZonePlan:
    # What somebody enters by hand is not held back, but told.
    changing = set() if entry.by_hand else {change.key for change in entry.plan.changes}
    there = entry.wanted & reasons.keys() - changing
    faults = tuple(reasons[key] for key in sorted(there))
    return replace(entry.without(reasons), faults=faults)


def without_dependents(
    zones: Sequence[ZonePlan], needs: Needs, unread: Sequence[UnreadZone]
) -> tuple[ZonePlan, ...]:
    """The plans without what relies on something that will not be as planned."""
    # What somebody is to enter by hand may be there by the time of the push, which looks again.
    unready = {key for entry in zones if not entry.by_hand for key in entry.unready}
    reasons = relying(needs, unready, unread)
    return tuple(entry.without(reasons) for entry in zones)


def limited(zones: Iterable[ZonePlan], source: str) -> tuple[ZonePlan, ...]:
    """The plans, those stopped that replace or delete an unusual share; `source` is the inventory."""
    how = f"if that is what you want: mailfleet dns push {source} --force"
    return tuple(
        replace(entry, stops=(*entry.stops, *(f"{text}; {how}" for text in entry.plan.unsafe)))
        for entry in zones
    )
