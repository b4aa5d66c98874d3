"""What Cloudflare would refuse of a plan, found before the first write."""

from __future__ import annotations

from collections.abc import Iterator

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.cloudflare.convert import PROXIABLE, WRITABLE
from mailfleet.dns.providers.cloudflare.records import ALIAS, ZoneRecords
from mailfleet.dns.rrset import RRset, octets

_LEAST_TTL, _MOST_TTL = 60, 86_400
_VALUE_OCTETS = 4096
_RRSET_CHARACTERS = 8192


def problems_with(plan: Plan, records: ZoneRecords) -> Iterator[Refusal]:
    """Each thing that Cloudflare would not take, or must not be asked for."""
    for change in plan.changes:
        if change.new is not None:
            for text in _refused(change, change.new, plan.zone, records):
                yield Refusal(text, change.key)


def _refused(change: Change, new: RRset, zone: str, records: ZoneRecords) -> Iterator[str]:
    at = f"{new.name} {new.type}"
    if new.name != zone and not new.name.endswith(f".{zone}"):
        yield f"{at} lies outside of the zone {zone}"
    if new.type not in WRITABLE:
        yield f"{at}: this driver writes {', '.join(sorted(WRITABLE))} only"
        return
    unchanged = change.old is not None and change.old.ttl == new.ttl
    if not unchanged and not _LEAST_TTL <= new.ttl <= _MOST_TTL:
        yield (
            f"{at}: Cloudflare takes TTLs of {_LEAST_TTL} to {_MOST_TTL} seconds, "
            f"not {new.ttl}; set ttl in the domain file"
        )
    if new.type in PROXIABLE and new.name == zone and records.at((zone, ALIAS)):
        yield f"{at}: the zone's own name is a CNAME at Cloudflare; remove it there first"
    if new.type == "TXT":
        yield from _refused_text(at, new)


def _refused_text(at: str, new: RRset) -> Iterator[str]:
    if any(not octets(value) for value in new.values):
        yield f"{at}: Cloudflare takes no empty text"
    longest = max(len(octets(value)) for value in new.values)
    # Each string of up to 255 octets has one octet before it.
    if longest + longest // 255 + 1 > _VALUE_OCTETS:
        yield f"{at}: a text of {longest} octets is too long, {_VALUE_OCTETS} are allowed"
    if sum(map(len, new.values)) > _RRSET_CHARACTERS:
        yield f"{at}: all values together exceed {_RRSET_CHARACTERS} characters; remove some"
