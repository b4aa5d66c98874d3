"""In which order a zone's changes are sent, so that mail is authenticated at every moment.

What is sent together is also waited for together, before the next phase begins: keys, then what
other servers judge us by, then addresses and what points at them, and deletions at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailfleet.records import Change

_ADDRESSES = ("A", "AAAA", "CNAME")


def phases(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """The changes in groups, to be carried out one after the other."""
    left = sorted(changes, key=lambda change: (_rank(change), change.key))
    for rank in range(5):
        group = [change for change in left if _rank(change) == rank]
        # Beside a CNAME there is nothing else: what is in the way goes right before.
        room = [c for c in left if c.new is None and any(_excludes(c, new) for new in group)]
        for phase in (room, group):
            left = [change for change in left if change not in phase]
            if phase:
                yield tuple(phase)


def _rank(change: Change) -> int:
    name, rtype = change.key
    if change.new is None:
        return 4
    if rtype == "TXT":
        return 0 if "._domainkey." in name else 1
    return 2 if rtype in _ADDRESSES else 3


def _excludes(old: Change, new: Change) -> bool:
    return (
        new.new is not None
        and old.key[0] == new.key[0]
        and (old.key[1] == "CNAME") != (new.key[1] == "CNAME")
    )
