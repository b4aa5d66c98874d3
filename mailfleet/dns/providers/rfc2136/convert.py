"""RRsets from a transfer, and UPDATE messages from changes, each one atomic transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dns.name
import dns.rdata
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Owned, union, write_list
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.rrset import RRset, from_rdata, parse_value

Exact = Mapping[tuple[str, str], Mapping[str, Sequence[dns.rdata.Rdata]]]
"""For each RRset and canonical value, the records as the server has them."""

# What the server makes itself. Not DS: that is the delegation's, and the operator's.
_MAINTAINED = frozenset(
    {"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"}
)

_LIST_TTL = 300
# A message over TCP holds 65,535 octets (RFC 1035 §4.2.2); room is left for header and TSIG.
_MOST_OCTETS = 60_000


def records(zone: str, content: dns.zone.Zone) -> tuple[tuple[RRset, ...], Exact]:
    """The RRsets of a zone as transferred, without what the server makes, and their exact form."""
    exact: dict[tuple[str, str], dict[str, list[dns.rdata.Rdata]]] = {}
    ttls: dict[tuple[str, str], int] = {}
    for name, rdataset in content.iterate_rdatasets():
        owner = name.canonicalize().to_text(omit_final_dot=True)
        rtype = dns.rdatatype.to_text(rdataset.rdtype)
        if rtype in _MAINTAINED or (rtype == "NS" and owner == zone):
            continue
        ttls[owner, rtype] = rdataset.ttl
        values = exact.setdefault((owner, rtype), {})
        for rdata in rdataset:
            values.setdefault(from_rdata(rdata), []).append(rdata)
    records = tuple(
        RRset(*key, ttls[key], tuple(sorted(values))) for key, values in sorted(exact.items())
    )
    return records, exact


def batches(plan: Plan, lists: Sequence[RRset], fleet: str) -> list[list[Change]]:
    """The plan's changes and those to the list of owned records, one batch for each UPDATE.

    One batch nearly always. Where a plan does not fit, the list claims everything first and lets go
    last: a run that dies between two batches leaves nothing behind that nobody owns.
    """
    final = _list_changes(plan.zone, lists, plan.owned_after, fleet)
    together = [*plan.changes, *final]
    if sum(map(_size, together)) <= _MOST_OCTETS:
        return [together] if together else []
    both = union(plan.owned_before, plan.owned_after)
    claims = _list_changes(plan.zone, lists, both, fleet)
    by_name = {record.name: record for record in lists}
    by_name |= {change.new.name: change.new for change in claims if change.new}
    release = _list_changes(plan.zone, tuple(by_name.values()), plan.owned_after, fleet)
    return list(_chunks([*claims, *plan.changes, *release]))


def message(
    zone: str, changes: Iterable[Change], exact: Exact, key: dns.tsig.Key
) -> dns.update.UpdateMessage:
    """One UPDATE that carries these changes out if every old RRset is still as it was."""
    origin = dns.name.from_text(zone)
    update = dns.update.UpdateMessage(origin, keyring=key)
    for change in changes:
        name, rtype = dns.name.from_text(change.key[0]), change.key[1]
        known = exact.get(change.key, {})
        if change.old is None:
            update.absent(name, rtype)
        else:
            # Value dependent (RFC 2136 §2.4.2): the whole RRset must equal what was read.
            update.present(name, *_rdatas(change.old, known))
            update.delete(name, rtype)
        if change.new is not None:
            update.add(name, change.new.ttl, *_rdatas(change.new, known))
    return update


def _rdatas(
    record: RRset, known: Mapping[str, Sequence[dns.rdata.Rdata]]
) -> Iterator[dns.rdata.Rdata]:
    """Values that stay are sent as the server has them, e.g. with its own splits of a TXT."""
    for value in record.values:
        yield from known.get(value) or [parse_value(record.type, value)]


def _list_changes(zone: str, lists: Sequence[RRset], owned: Owned, fleet: str) -> list[Change]:
    before = {record.name: record for record in lists}
    changes = []
    for new in write_list(zone, fleet, owned, lists, _LIST_TTL):
        old = before.get(new.name)
        if old is None or old.values != new.values:
            changes.append(Change(old, new if new.values else None))
    return [change for change in changes if change.old or change.new]


def _chunks(changes: Iterable[Change]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    total = 0
    for change in changes:
        size = _size(change)
        if batch and total + size > _MOST_OCTETS:
            yield batch
            batch, total = [], 0
        batch.append(change)
        total += size
    if batch:
        yield batch


def _size(change: Change) -> int:
    """An upper bound of the octets that a change takes in a message."""
    values = [
        *(change.old.values if change.old else ()),
        *(change.new.values if change.new else ()),
    ]
    # Presentation form is never shorter than the rdata, save for IPv6's 16 octets and names' dots.
    return sum(len(change.key[0]) + 12 + len(value) + 18 for value in values) + 64
