"""From a change to the API's verbs. Pure.

There is no request for several RRsets, none for values and TTL together, and no compare-and-set.
Our values are added and removed one by one, which cannot touch a neighbour's in the same RRset.
Only where one of our values takes the place of another the RRset is written as a whole: added
first, two SPF records stand there, removed first, none, and resolvers keep either for a TTL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Owned, Slot, slot_of
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.hetzner.convert import (
    ApiRRset,
    ApiRRsets,
    Mark,
    Record,
    canonical,
    relative,
)
from mailfleet.dns.rrset import RRset

Verb = Literal["create", "set", "add", "remove", "comment", "ttl", "label"]

MOST_RECORDS = 50
"""What one request can carry."""


@dataclass(frozen=True)
class Write:
    """One request that changes one RRset."""

    verb: Verb
    name: str
    """Relative to the zone, as the API wants it."""
    rrset: RRset
    """Name, type and TTL to write."""
    before: RRset | None
    records: tuple[Record, ...] = ()
    """create, set, add, comment: to be there; remove: not to be there."""
    gone: tuple[Record, ...] = ()
    """set: what it removes."""
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.rrset.name} {self.rrset.type}"

    def done(self, now: ApiRRset | None) -> bool:
        """Whether the RRset is as this request makes it."""
        if now is None:
            return self.verb == "remove"
        have = _comments(self.rrset.type, now.records)
        want = _comments(self.rrset.type, self.records)
        if self.verb == "remove":
            return not want.keys() & have.keys()
        if self.verb == "label":
            return dict(self.labels) == dict(now.labels)
        gone = _comments(self.rrset.type, self.gone).keys() - want.keys()
        there = want.items() <= have.items() and not gone & have.keys()
        ttl = self.verb not in ("create", "ttl") or now.rrset.ttl == self.rrset.ttl
        return there and ttl and dict(self.labels).items() <= now.labels.items()


def claims(plan: Plan, rrsets: ApiRRsets) -> tuple[Change, ...]:
    """Changes to marks alone: records that were adopted as they are."""
    changed = {change.key for change in plan.changes}
    claimed = plan.owned_after.keys() - plan.owned_before.keys()
    keys = {(slot.name, slot.type) for slot in claimed}
    adopted = (rrsets[key].rrset for key in sorted(keys - changed) if key in rrsets)
    return tuple(Change(rrset, rrset) for rrset in adopted)


def writes(
    zone: str, change: Change, now: ApiRRset | None, owned: Owned, mark: Mark
) -> Iterator[Write]:
    """The requests that carry the change out, in their order; `owned` is what is ours then."""
    name = relative(change.key[0], zone)
    rrset = change.new or change.old
    assert rrset is not None
    before = now.records if now else ()
    after = _target(rrset.key, change.new, before, owned, mark)
    labels = _labels(rrset.key, now, owned, mark)
    if now is None:
        if after:
            yield Write("create", name, rrset, None, after, labels=labels)
        return
    if after and labels != tuple(now.labels.items()):
        # First: what we have changed must be ours, also after a run that died half way.
        yield Write("label", name, rrset, now.rrset, labels=labels)
    yield from _values(name, rrset, now, after)
    if change.new is not None and change.new.ttl != now.rrset.ttl:
        yield Write("ttl", name, change.new, now.rrset)


def _values(name: str, rrset: RRset, now: ApiRRset, after: tuple[Record, ...]) -> Iterator[Write]:
    old = {record.value: record for record in now.records}
    new = {record.value: record for record in after}
    added = tuple(record for record in after if record.value not in old)
    removed = tuple(record for record in now.records if record.value not in new)
    marked = tuple(r for r in after if r.value in old and r != old[r.value])
    if removed and not (added or marked):
        # Empty, the RRset goes by itself; "delete" would take what came in the meantime along.
        yield Write("remove", name, rrset, now.rrset, removed)
    elif added and not (removed or marked):
        yield Write("add", name, rrset, now.rrset, added)
    elif marked and not (removed or added):
        yield Write("comment", name, rrset, now.rrset, marked)
    elif added or removed or marked:
        yield Write("set", name, rrset, now.rrset, after, removed)


def _labels(
    key: tuple[str, str], now: ApiRRset | None, owned: Owned, mark: Mark
) -> tuple[tuple[str, str], ...]:
    """The labels that the RRset is to have; those of others stay."""
    present = dict(now.labels) if now else {}
    if key[1] == "TXT":
        return tuple(present.items())
    if Slot(*key) in owned:
        return tuple({**present, **mark.labels}.items())
    return tuple(
        (k, v) for k, v in present.items() if k not in mark.labels or not mark.labelled(present)
    )


def _target(
    key: tuple[str, str],
    new: RRset | None,
    before: tuple[Record, ...],
    owned: Owned,
    mark: Mark,
) -> tuple[Record, ...]:
    """What is to stand in the RRset; what stays there, as it is written there."""
    known: dict[str, list[Record]] = {}
    for record in before:
        known.setdefault(canonical(key[1], record.value), []).append(record)
    records: list[Record] = []
    for value in new.values if new else ():
        existing = known.get(value) or [Record(value)]
        if value in owned.get(slot_of(*key, value), ()):
            records.append(Record(existing[0].value, mark.comment))
        else:
            records += existing
    return tuple(records)


def _comments(rtype: str, records: tuple[Record, ...]) -> Mapping[str, str]:
    return {canonical(rtype, record.value): record.comment for record in records}
