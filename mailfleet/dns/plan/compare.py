"""Whether what a name server or a provider holds is what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailfleet.dns.plan.ownership import slot_of
from mailfleet.dns.rrset import RRset

if TYPE_CHECKING:  # a plan compares, too
    from mailfleet.dns.plan.change import Change
    from mailfleet.dns.plan.zone import Plan, Zone


def difference(record: RRset, answered: Iterable[str]) -> str:
    """What is wrong with the values that a server gives for `record`; empty where nothing is.

    In a TXT RRset the values of other kinds do not count: others may share the name.
    """
    slots = {slot_of(*record.key, value) for value in record.values}
    existing = {value for value in answered if slot_of(*record.key, value) in slots}
    missing = sorted(set(record.values) - existing)
    extra = sorted(existing - set(record.values))
    if missing and not extra:
        return f"lacks {', '.join(missing)}"
    if extra and not missing:
        return f"has {', '.join(extra)} besides"
    if missing and extra:
        return f"has {', '.join(extra)} instead of {', '.join(missing)}"
    return ""


def outstanding(plan: Plan, zone: Zone) -> tuple[Change, ...]:
    """The changes of a plan that a zone, read again, does not show."""
    have = {record.key: record for record in zone.records}
    return tuple(change for change in plan.changes if not _is_done(change, have.get(change.key)))


def _is_done(change: Change, record: RRset | None) -> bool:
    values = frozenset(record.values if record else ())
    if change.added or change.removed:
        # Others may have written at the name meanwhile, which is not ours to judge.
        return change.added <= values and not change.removed & values
    return record is not None and change.new is not None and record.ttl == change.new.ttl
