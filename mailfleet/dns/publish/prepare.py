"""Publishing a fleet's DNS: records, plans and pushes over all its zones and providers.

Everything is read, planned and audited before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan.conflicts import matches
from mailfleet.dns.plan.needs import needs_of
from mailfleet.dns.publish import by_hand, reverse
from mailfleet.dns.publish.apply import PublishError, ZoneOutcome, publish
from mailfleet.dns.publish.holding import limited, without_costly_spf, without_dependents
from mailfleet.dns.publish.notes import Keys, unread_notes, unsure_notes
from mailfleet.dns.publish.plan import Publication, ZonePlan
from mailfleet.dns.publish.preparation import Preparation
from mailfleet.dns.publish.zone import Wishes
from mailfleet.dns.records import dane
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import unread_keys
from mailfleet.dns.records.ptr import ptr_records
from mailfleet.model import Fleet, ProviderSettings

__all__ = [
    "Keys",
    "Publication",
    "PublishError",
    "ZoneOutcome",
    "ZonePlan",
    "prepare",
    "publish",
]


def prepare(
    fleet: Fleet,
    keys: Keys,
    *,
    adopt: Collection[str] = (),
    force: bool = False,
    domain: str | None = None,
    lookup: Lookup | None = None,
    certificates: Certificates | None = None,
    answers: by_hand.Answers = by_hand.nobody_asked,
    progress: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Read every zone and plan it. `domain` limits the records to those of one domain file.

    With `lookup`, the look-ups of SPF records are counted through their foreign includes, TLSA
    records are made of `certificates` where it finds the zone signed, names that foreign aliases
    answer for are followed, and PTR records that are there already are asked of nobody. What cannot
    be read or written stops nothing that does not need it. `answers` tells what is there already of
    zones that are kept by hand. `progress` hears of each step that may take a while.
    """
    certificates = certificates or {}
    in_scope = _scope(fleet, domain)
    dnssec = dane.signatures(fleet, lookup, in_scope)
    public_keys = [key for host_keys in keys.values() for key in host_keys.keys]
    desired = records(fleet, public_keys, certificates=certificates, signed=dnssec.signed)
    unread = unread_keys(fleet, {host for host, host_keys in keys.items() if host_keys.complete})
    unsure = dane.unsure(fleet, certificates, dnssec)

    def keep(name: str) -> bool:
        return unread(name) or unsure(name) or not in_scope(name)

    preparation = Preparation(fleet, Wishes(adopt, lookup), answers)
    for name, wanted in desired.items():
        own = [record for record in wanted if in_scope(record.name)]
        if own:
            progress(f"{name}: reading, {len(own)} record sets are wanted")
            preparation.add(_settings(fleet, name), name, own, keep)
    ptr = {a: record for a, record in ptr_records(fleet).items() if in_scope(record.name)}
    if ptr:
        progress(f"looking for the PTR records of {len(ptr)} addresses")
    placed = reverse.located(ptr, reverse.real(fleet, ptr), lookup)
    # Which domain a stale PTR record belonged to, its name does not tell; nor, where an alias could
    # not be followed, which record is the address's.
    preparation.add_reverse(
        placed.ptr_records, lambda _: domain is not None or bool(placed.unknown)
    )
    zones, notes = preparation.zones, list(preparation.notes)
    if lookup is not None:
        zones, costs = without_costly_spf(fleet, zones, desired, lookup, in_scope)
        notes += costs
    wanted_records = [record for zone in desired.values() for record in zone]
    needs = needs_of([*wanted_records, *(r.rrset for r in placed.ptr_records.values())])
    complete = without_dependents(zones, needs, preparation.unread)
    return Publication(
        zones=complete if force else limited(complete, fleet.source),
        notes=(
            *unread_notes(fleet, keys),
            *unsure_notes(fleet, keys, certificates, dnssec),
            *notes,
            *_unused(adopt, zones),
        ),
        unread=tuple(preparation.unread),
        needs=needs,
    )


def _scope(fleet: Fleet, domain: str | None) -> Callable[[str], bool]:
    def in_scope(name: str) -> bool:
        owner = fleet.domain_of(name)
        return domain is None or (owner is not None and owner.name == domain)

    return in_scope


def _settings(fleet: Fleet, zone: str) -> ProviderSettings:
    """Several domain files can share a zone; the model lets them name one provider only."""
    return next(domain.dns for domain in fleet.domains if domain.zone == zone)


def _unused(adopt: Collection[str], zones: Sequence[ZonePlan]) -> list[str]:
    adopted = [slot for entry in zones for slot in entry.plan.adopted]
    return [
        f"--adopt {pattern}: nothing foreign there stands in the way of this fleet"
        for pattern in adopt
        if not any(matches(slot, [pattern]) for slot in adopted)
    ]
