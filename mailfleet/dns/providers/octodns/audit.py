"""What octoDNS or a provider class would refuse of a plan, found before the first write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.octodns.api import part
from mailfleet.dns.providers.octodns.convert import empty_zone, record_of
from mailfleet.dns.rrset import RRset, octets

# Printable, without what octoDNS and provider classes quote in different ways.
_SAFE = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')


def refusals(plan: Plan, path: str, supported: Collection[str]) -> Iterator[Refusal]:
    """Types that the class at `path` does not write, and values that octoDNS could damage."""
    for change in plan.changes:
        if change.new is not None:
            for text in _refused(plan.zone, change.new, supported):
                yield Refusal(text, change.key)
    if not plan.is_empty and "TXT" not in supported:
        yield Refusal(f"{path} writes no TXT, so nothing can be marked as ours")


def _refused(zone: str, new: RRset, supported: Iterable[str]) -> Iterator[str]:
    """Why an RRset cannot be written through octoDNS."""
    at = f"{new.name} {new.type}"
    if new.name != zone and not new.name.endswith(f".{zone}"):
        yield f"{at} lies outside of the zone {zone}"
        return
    if new.type not in supported:
        yield f"{at}: this octoDNS provider writes {', '.join(sorted(supported))} only"
        return
    # Foreign values as well: the whole RRset is written.
    texts = new.values if new.type == "TXT" else ()
    damaged = [value for value in texts if not octets(value) or not set(octets(value)) <= _SAFE]
    for value in damaged:
        yield f"{at}: octoDNS could damage {value}; write such texts with another driver"
    if damaged:
        return
    try:
        record_of(empty_zone(zone), new)
    except part("octodns.record").ValidationError as error:
        yield f"{at}: octoDNS refuses it: {'; '.join(str(reason) for reason in error.reasons)}"
