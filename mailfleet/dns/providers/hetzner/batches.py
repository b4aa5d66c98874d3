"""A plan cut into phases: what is sent together is waited for together, before the next begins.

The plan's order keeps mail authenticated after each single change. To wait after each would cost a
round for each, so neighbours that do not rely on each other share a phase.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import slot_of
from mailfleet.dns.plan.record_types import purpose_of
from mailfleet.dns.rrset import RRset

# A part of a long SPF record, which includes its parts: _spf2.shop.example.
_PART = re.compile(r"_spf[0-9]*\.")
_SPF = "spf1"


def batches(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """The changes in groups, in their order."""
    group: list[Change] = []
    for change in changes:
        if group and (_kind(group[-1]) != _kind(change) or _relies(change, group)):
            yield tuple(group)
            group = []
        group.append(change)
    if group:
        yield tuple(group)


def _kind(change: Change) -> str:
    """What a phase has only one of."""
    name, rtype = change.key
    if change.new is None:
        return "gone"
    if rtype != "TXT":
        return purpose_of(rtype)
    tags = _tags(change.new)
    if _SPF in tags:
        return _SPF
    return "needed" if "._domainkey." in name else "policy"


def _relies(change: Change, group: list[Change]) -> bool:
    """Whether part of the same SPF record is in the group."""
    tree = _tree(change)
    return tree is not None and tree in map(_tree, group)


def _tree(change: Change) -> str | None:
    spf = any(_SPF in _tags(record) for record in (change.old, change.new))
    return _PART.sub("", change.key[0], count=1) if spf else None


def _tags(record: RRset | None) -> set[str]:
    if record is None or record.type != "TXT":
        return set()
    return {slot_of(*record.key, value).tag for value in record.values}
