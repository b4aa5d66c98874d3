"""octoDNS's zones and records from RRsets, and back.

octoDNS takes the zone that it is given for complete and deletes everything else. So what it is given
is always what the provider holds, with the planned changes made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dns.exception import DNSException

from mailfleet.dns.plan.change import Change
from mailfleet.dns.providers.octodns.api import part
from mailfleet.dns.rrset import RRset, canonical_name, canonical_value


def empty_zone(zone: str) -> Any:
    """octoDNS's zone of that name, with nothing in it."""
    return part("octodns.zone").Zone(f"{zone}.", [])


def rrset_of(record: Any) -> RRset:
    """One of octoDNS's records as an RRset; what cannot be parsed stays as it is."""
    rrset = record.to_rrset()
    kind = str(rrset._type)
    # Which of several answers a dynamic record gives, no value tells.
    mark = " (dynamic)" if getattr(record, "dynamic", False) else ""
    values = sorted({_canonical(kind, str(text)) + mark for text in rrset.rdatas})
    return RRset(_name(str(rrset.name)), kind, int(rrset.ttl), tuple(values))


def record_of(zone: Any, record: RRset) -> Any:
    """octoDNS's record in its zone. Raises what octoDNS raises for a value that it refuses."""
    rr, base = part("octodns.record.rr"), part("octodns.record")
    # In octoDNS a text is raw, save for a backslash before each semicolon; from_rrset adds it.
    rdatas = list(record.values)
    return base.Record.from_rrset(
        zone, rr.Rrset(f"{record.name}.", record.type, record.ttl, rdatas)
    )


def changed(existing: Any, changes: Iterable[Change]) -> Any:
    """A copy of the zone with the changes made; deletions first, so that a CNAME makes room."""
    desired = existing.copy()
    # The zone's own name servers are the provider's: without them octoDNS leaves them alone.
    if desired.root_ns:
        desired.remove_record(desired.root_ns)
    listed = list(changes)
    present = {rrset_of(record).key: record for record in existing.records}
    for change in listed:
        if change.key in present:
            desired.remove_record(present[change.key])
    for change in listed:
        if change.new is not None:
            desired.add_record(record_of(desired, change.new))
    return desired


def _name(text: str) -> str:
    try:
        return canonical_name(text)
    except DNSException:
        return text.lower().rstrip(".")


def _canonical(kind: str, text: str) -> str:
    try:
        return canonical_value(kind, text)
    except ValueError:
        return text
