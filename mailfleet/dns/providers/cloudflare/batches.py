"""Batches: a plan's changes as deletions, overwrites and additions of single records.

Cloudflare carries one batch out in one transaction: deletions first, then overwrites, then
additions. Where a record can be overwritten it is: between a deletion and an addition a resolver
could find nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Owned
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.cloudflare.convert import PROXIABLE, fields_of
from mailfleet.dns.providers.cloudflare.records import AUTOMATIC, Record, Rules, ZoneRecords
from mailfleet.dns.rrset import RRset

# What every plan of Cloudflare's allows in one call.
MOST_RECORDS = 200


@dataclass(frozen=True)
class Write:
    """A record as it is to be; without `over` a new one."""

    name: str
    type: str
    value: str
    ttl: int
    proxied: bool
    comment: str
    over: Record | None = None

    def body(self) -> dict[str, Any]:
        """What the API takes. `proxied` is always said: a zone can have another default."""
        fields = {
            "name": self.name,
            "type": self.type,
            "ttl": AUTOMATIC if self.proxied else self.ttl,
            "comment": self.comment,
            **fields_of(self.type, self.value),
        }
        if self.type in PROXIABLE:
            fields["proxied"] = self.proxied
        return {**self.over.kept, **fields, "id": self.over.id} if self.over else fields

    def matches(self, record: Record) -> bool:
        """Whether the record at Cloudflare is this one."""
        have = (record.name, record.type, record.value, record.proxied, record.comment)
        want = (self.name, self.type, self.value, self.proxied, self.comment)
        return have == want and (self.proxied or record.ttl == self.ttl)


@dataclass(frozen=True)
class Batch:
    """What one call changes."""

    deletes: tuple[Record, ...] = ()
    puts: tuple[Write, ...] = ()
    posts: tuple[Write, ...] = ()

    def __len__(self) -> int:
        return len(self.deletes) + len(self.puts) + len(self.posts)

    @property
    def names(self) -> frozenset[str]:
        writes = (*self.puts, *self.posts)
        return frozenset({*(r.name for r in self.deletes), *(w.name for w in writes)})

    def is_done(self, records: ZoneRecords) -> bool:
        """Whether the zone is as the batch leaves it."""
        return (
            not any(record.id in records.by_id for record in self.deletes)
            and all(any(map(put.matches, _same_id(put, records))) for put in self.puts)
            and all(
                any(map(post.matches, records.at((post.name, post.type)))) for post in self.posts
            )
        )

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.deletes + other.deletes, self.puts + other.puts, self.posts + other.posts)


def batches(plan: Plan, records: ZoneRecords) -> list[Batch]:
    """The calls that carry a plan out in its order, of 200 records at most each.

    What follows one another at one name stays together, so that a CNAME can take the place of
    addresses without a gap.
    """
    changes = {change.key: change for change in plan.changes}
    before, after = plan.owned_before, plan.owned_after
    moved = {slot for slot in (*before, *after) if before.get(slot) != after.get(slot)}
    parts: list[tuple[str, Batch]] = []
    for key in dict.fromkeys([*changes, *((slot.name, slot.type) for slot in sorted(moved))]):
        part = _Part(records, after)
        part.work_out(key, changes.get(key))
        batch = Batch(tuple(part.deletes), tuple(part.puts), tuple(part.posts))
        if parts and parts[-1][0] == key[0]:
            parts[-1] = key[0], parts[-1][1] + batch
        else:
            parts.append((key[0], batch))
    return list(_packed(part for _, part in parts if len(part)))


@dataclass
class _Part:
    """The work at one name and type."""

    records: ZoneRecords
    owned: Owned
    """What is ours afterwards."""
    deletes: list[Record] = field(default_factory=list)
    puts: list[Write] = field(default_factory=list)
    posts: list[Write] = field(default_factory=list)

    @property
    def rules(self) -> Rules:
        return self.records.rules

    def work_out(self, key: tuple[str, str], change: Change | None) -> None:
        present = self.records.at(key)
        new = change.new if change else None
        wanted = frozenset(new.values) if new else frozenset()
        leaving = []
        for record in present:
            if change is None or self.records.shown(record) in wanted:
                self._keep(record, new)
            else:
                leaving.append(record)
        for value in sorted(wanted - {self.records.shown(record) for record in present}):
            if new is not None:
                self._add(new, value, leaving)
        self.deletes += leaving

    def _keep(self, record: Record, new: RRset | None) -> None:
        owned = self.records.shown(record) in self.owned.get(self.records.slot(record), ())
        if not owned and not self.rules.is_ours(record.comment):
            return
        ttl = record.ttl if new is None or new.ttl == record.seconds else new.ttl
        right = self._write(record.name, record.type, record.value, ttl, record)
        if not owned:
            right = Write(**{**vars(right), "comment": ""})
        if not right.matches(record):
            self.puts.append(right)

    def _add(self, new: RRset, value: str, leaving: list[Record]) -> None:
        over = None
        if leaving:
            same = (at for at, record in enumerate(leaving) if record.value == value)
            over = leaving.pop(next(same, 0))
        write = self._write(new.name, new.type, value, new.ttl, over)
        (self.puts if over else self.posts).append(write)

    def _write(self, name: str, rtype: str, value: str, ttl: int, over: Record | None) -> Write:
        ours = over is not None and self.rules.is_ours(over.comment)
        return Write(
            name=name,
            type=rtype,
            value=value,
            ttl=ttl,
            proxied=self.rules.proxies(name, rtype),
            comment=over.comment if over is not None and ours else self.rules.mark,
            over=over,
        )


def _same_id(put: Write, records: ZoneRecords) -> list[Record]:
    record = records.by_id.get(put.over.id) if put.over else None
    return [record] if record else []


def _packed(parts: Iterable[Batch]) -> Iterator[Batch]:
    packed = Batch()
    for part in parts:
        for piece in _pieces(part):
            if len(packed) + len(piece) > MOST_RECORDS:
                yield packed
                packed = Batch()
            packed += piece
    if len(packed):
        yield packed


def _pieces(part: Batch) -> Iterator[Batch]:
    """One name's work; in parts where it is more than one call may hold."""
    if len(part) <= MOST_RECORDS:
        yield part
        return
    singles = [
        *(Batch(deletes=(record,)) for record in part.deletes),
        *(Batch(puts=(put,)) for put in part.puts),
        *(Batch(posts=(post,)) for post in part.posts),
    ]
    yield from singles
