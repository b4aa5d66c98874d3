"""Whether what a name server answers is what was asked for."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.records.ownership import slot_of
from mailfleet.records.rrset import RRset


def difference(record: RRset, answered: Iterable[str]) -> str:
    """What is wrong with the values that a server gives for `record`; empty where nothing is.

    In a TXT RRset the values of other kinds do not count: others may share the name.
    """
    slots = {slot_of(*record.key, value) for value in record.values}
    found = {value for value in answered if slot_of(*record.key, value) in slots}
    missing = sorted(set(record.values) - found)
    extra = sorted(found - set(record.values))
    if missing and not extra:
        return f"lacks {', '.join(missing)}"
    if extra and not missing:
        return f"has {', '.join(extra)} besides"
    if missing and extra:
        return f"has {', '.join(extra)} instead of {', '.join(missing)}"
    return ""
