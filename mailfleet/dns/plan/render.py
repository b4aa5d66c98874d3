"""Plans as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from mailfleet.dns.plan.change import Change, Kind
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.rrset import RRset

_WIDTH = 120


def summary(plan: Plan) -> str:
    """One phrase, e.g. "3 to create, 1 to update"."""
    kinds: tuple[Kind, ...] = ("create", "update", "delete")
    parts = [f"{plan.count(kind)} to {kind}" for kind in kinds if plan.count(kind)]
    if plan.conflicts:
        parts.append(f"{len(plan.conflicts)} in conflict")
    if plan.held:
        parts.append(f"{len(plan.held)} left as they are")
    if not parts:
        return "no changes" if plan.is_empty else "only the list of owned records changes"
    return ", ".join(parts)


@dataclass(frozen=True)
class Row:
    """One line of a plan: what happens to a record set, or two values of it side by side."""

    sign: str
    """`+` comes, `-` goes, `~` changes, `!` is in the way; a blank stays."""
    text: str
    """The record set, or its value before the change."""
    new: str | None = None
    """The value after the change; None in a row that is no comparison."""


def rows(plan: Plan) -> Iterator[Row]:
    """The changes in the order of the push, then the conflicts and what has to wait."""
    for change in plan.changes:
        name, rtype = change.key
        if change.old and change.new:
            ttl = f"{change.new.ttl}"
            if change.old.ttl != change.new.ttl:
                ttl = f"{change.old.ttl} becomes {change.new.ttl}"
            yield Row("~", f"{name} {rtype} (TTL {ttl})")
            pairs = zip_longest(sorted(change.removed), sorted(change.added), fillvalue="")
            yield from (Row("~", old, new) for old, new in pairs)
            stays = sorted(set(change.old.values) & set(change.new.values))
            yield from (Row(" ", value, value) for value in stays)
        elif record := change.new or change.old:
            sign = "+" if change.new else "-"
            yield from (Row(sign, f"{name} {record.ttl} {rtype} {v}") for v in record.values)
    for conflict in plan.conflicts:
        existing = " | ".join(conflict.existing)
        yield Row("!", f"{conflict.name} {conflict.type} {existing} is not ours")
    for name, rtype in plan.held:
        yield Row("!", f"{name} {rtype} is left as it is")


def lines(plan: Plan) -> Iterator[str]:
    """The rows for a log, each value on a line of its own; its first character tells what happens."""
    for row in rows(plan):
        if row.new is None:
            yield f"{row.sign} {_short(row.text)}"
        elif row.sign != " ":
            yield from (f"{s}   {_short(v)}" for s, v in (("-", row.text), ("+", row.new)) if v)


def zone_lines(plan: Plan) -> Iterator[str]:
    """The changes of a zone that is kept by hand: whole lines of a zone file (RFC 1035 §5.1).

    `+` is to be entered, `-` to be taken out.
    """
    for change in plan.changes:
        name, rtype = change.key
        ttl = change.new.ttl if change.new else 0
        yield from (f"- {name}. {ttl} IN {rtype} {value}" for value in sorted(change.removed))
        yield from (f"+ {name}. {ttl} IN {rtype} {value}" for value in sorted(change.added))


def columns(old: str, new: str, width: int) -> Iterator[tuple[str, str]]:
    """Two values side by side in `width` characters, each wrapped within its half."""
    half = max((width - 3) // 2, 20)
    left, right = (wrap(value, half, break_on_hyphens=False) for value in (old, new))
    for old_line, new_line in zip_longest(left, right, fillvalue=""):
        yield old_line.ljust(half), new_line


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "zone": plan.zone,
        "changes": [change_as_json(change) for change in plan.changes],
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
        "held": [
            {"name": name, "type": rtype, "reason": reason}
            for (name, rtype), reason in plan.held.items()
        ],
        "claimed": sorted(str(slot) for slot in plan.owned_after.keys() - plan.owned_before.keys()),
        "released": sorted(
            str(slot) for slot in plan.owned_before.keys() - plan.owned_after.keys()
        ),
    }


def change_as_json(change: Change) -> dict[str, Any]:
    """One change as plain values."""
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
