"""Plans as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailfleet.records.plan import Change, Kind, Plan
from mailfleet.records.rrset import RRset

_SIGNS: dict[Kind, str] = {"create": "+", "update": "~", "delete": "-"}
_WIDTH = 120


def summary(plan: Plan) -> str:
    """One phrase, e.g. "3 to create, 1 to update"."""
    kinds: tuple[Kind, ...] = ("create", "update", "delete")
    parts = [f"{plan.count(kind)} to {kind}" for kind in kinds if plan.count(kind)]
    if plan.conflicts:
        parts.append(f"{len(plan.conflicts)} in conflict")
    if not parts:
        return "no changes" if plan.is_empty else "only the list of owned records changes"
    return ", ".join(parts)


def lines(plan: Plan) -> Iterator[str]:
    """The changes, one line each value; the first character of a line tells what happens to it."""
    for change in plan.changes:
        name, rtype = change.key
        sign = _SIGNS[change.kind]
        if change.old and change.new:
            ttl = ""
            if change.old.ttl != change.new.ttl:
                ttl = f" (TTL {change.old.ttl} becomes {change.new.ttl})"
            yield f"{sign} {name} {rtype}{ttl}"
            for value in sorted({*change.old.values, *change.new.values}):
                if value not in change.new.values:
                    yield f"-   {_short(value)}"
                elif value not in change.old.values:
                    yield f"+   {_short(value)}"
        elif record := change.new or change.old:
            for value in record.values:
                yield f"{sign} {name} {record.ttl} {rtype} {_short(value)}"
    for conflict in plan.conflicts:
        yield f"! {conflict.name} {conflict.type} {_short(' | '.join(conflict.existing))} is not ours"


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "zone": plan.zone,
        "changes": [_change(change) for change in plan.changes],
        "conflicts": [
            {
                "name": conflict.name,
                "type": conflict.type,
                "values": list(conflict.existing),
                "reason": conflict.reason,
                "remedy": conflict.remedy,
            }
            for conflict in plan.conflicts
        ],
        "claimed": sorted(str(slot) for slot in plan.owned_after - plan.owned_before),
        "released": sorted(str(slot) for slot in plan.owned_before - plan.owned_after),
    }


def _change(change: Change) -> dict[str, Any]:
    name, rtype = change.key
    return {
        "action": change.kind,
        "name": name,
        "type": rtype,
        "old": _record(change.old),
        "new": _record(change.new),
    }


def _record(record: RRset | None) -> dict[str, Any] | None:
    return {"ttl": record.ttl, "values": list(record.values)} if record else None


def _short(value: str) -> str:
    return value if len(value) <= _WIDTH else value[: _WIDTH - 4] + " ..."
