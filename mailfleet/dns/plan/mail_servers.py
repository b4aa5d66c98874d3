"""MX records that lead to names without an address: mail to the domain would bounce."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.dns.plan.zone import Zone
from mailfleet.dns.rrset import RRset

Key = tuple[str, str]

# At these a name has records without having an address, whatever else a provider calls an alias.
_NO_ADDRESS = frozenset({"CAA", "MX", "NS", "SRV", "TLSA", "TXT"})


def mx_without_address(zone: Zone, wanted: Iterable[RRset]) -> dict[Key, str]:
    """By name and type, what is wrong with wanted MX records whose targets the zone itself would hold.

    RFC 5321 §5.1 wants an address there. A name below a delegation or a DNAME, or one that a wildcard
    may answer for (RFC 4592), is left alone.
    """
    records = list(wanted)
    types: dict[str, set[str]] = {}
    for record in (*zone.records, *records):
        types.setdefault(record.name, set()).add(record.type)
    reasons = {}
    for record in records:
        targets = record.values if record.type == "MX" else ()
        names = [value.split()[1].rstrip(".") for value in targets]
        bare = [name for name in names if name and _is_bare(name, zone.name, types)]
        if bare:
            reasons[record.key] = (
                f"{', '.join(bare)} has no address in this zone, so mail would find no server; "
                "add one there, or name another server in mx"
            )
    return reasons


def _is_bare(name: str, zone: str, types: dict[str, set[str]]) -> bool:
    """Whether the zone decides about the name, and gives it no address."""
    if name != zone and not name.endswith(f".{zone}"):
        return False
    if types.get(name, set()) - _NO_ADDRESS:
        return False
    above = name
    while above != zone:
        if "NS" in types.get(above, ()):
            return False
        above = above.partition(".")[2]
        if "DNAME" in types.get(above, ()) or types.get(f"*.{above}"):
            return False
    return True
