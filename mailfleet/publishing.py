"""Publishing a fleet's DNS: records, plans and pushes over all its zones and providers.

Everything is read, planned and audited before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from mailfleet.applying import PublishError, ZoneOutcome, publish
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.providers.base import Driver
from mailfleet.providers.registry import open_driver
from mailfleet.publication import Publication, UnreadZone, ZonePlan
from mailfleet.records import Desired, RRset, plan, records
from mailfleet.records.conflicts import matches
from mailfleet.records.dkim import HostKeys, unread_keys
from mailfleet.records.lookup import Lookup, LookupFailedError
from mailfleet.spf_costs import excesses

__all__ = [
    "Keys",
    "Publication",
    "PublishError",
    "ZoneOutcome",
    "ZonePlan",
    "prepare",
    "publish",
]

Keys = Mapping[str, HostKeys]
"""What each host that could be reached said of its keys."""

_TLSA = "_25._tcp."


def prepare(
    fleet: Fleet,
    keys: Keys,
    *,
    adopt: Collection[str] = (),
    force: bool = False,
    domain: str | None = None,
    lookup: Lookup | None = None,
    certificates: Mapping[str, Collection[str]] | None = None,
) -> Publication:
    """Read every zone and plan it. `domain` limits the records to those of one domain file.

    With `lookup`, the look-ups of SPF records are counted through their foreign includes, and TLSA
    records are made where it finds the zone signed; `certificates` are as in `records`.
    """
    read = {host for host, found in keys.items() if found.complete}
    desired = records(
        fleet,
        [key for found in keys.values() for key in found.keys],
        certificates=certificates,
        signed=_signed(fleet, lookup) if certificates and lookup else (),
    )
    run = _Run(fleet, adopt, force)
    run.notes += [_unread_note(host.name, keys) for host in fleet.hosts if host.name not in read]
    in_scope = _scope(fleet, domain)
    unread = unread_keys(fleet, read)

    def keep(name: str) -> bool:
        # A certificate that was not read may be in use.
        unseen = name.startswith(_TLSA) and name[len(_TLSA) :] not in (certificates or {})
        return unread(name) or unseen or not in_scope(name)

    def keep_pointer(_: str) -> bool:
        # Which domain a stale PTR record belonged to, its name does not tell.
        return domain is not None

    for name, wanted in desired.zones.items():
        own = [record for record in wanted if in_scope(record.name)]
        settings = _settings(fleet, name)
        if own and settings is None:
            run.notes.append(
                f"{name}: no [dns] provider, so its {len(own)} records are not published"
            )
        elif own and settings is not None:
            run.add(run.open(settings), name, own, keep)
    if fleet.reverse_dns is not None:
        driver = run.open(fleet.reverse_dns)
        pointers = {a: r for a, r in desired.reverse.items() if in_scope(r.values[0].rstrip("."))}
        for name, own in _reverse_zones(driver, pointers, run.notes).items():
            run.add(driver, name, own, keep_pointer)
    if lookup is not None:
        run.count(desired, lookup, in_scope)
    run.notes += _unused(adopt, run.zones)
    return Publication(tuple(run.zones), tuple(run.notes), tuple(run.unread))


class _Run:
    """One preparation: a driver for each provider's settings, and what was found so far."""

    def __init__(self, fleet: Fleet, adopt: Collection[str], force: bool) -> None:
        self._fleet = fleet
        self._adopt = adopt
        self._force = force
        self._drivers: dict[ProviderSettings, Driver] = {}
        self.zones: list[ZonePlan] = []
        self.unread: list[UnreadZone] = []
        self.notes: list[str] = []

    def open(self, settings: ProviderSettings) -> Driver:
        if settings not in self._drivers:
            self._drivers[settings] = open_driver(settings, self._fleet)
        return self._drivers[settings]

    def add(
        self, driver: Driver, name: str, wanted: Sequence[RRset], keep: Callable[[str], bool]
    ) -> None:
        """Plan one zone; one that cannot be read stops no other."""
        try:
            found = driver.read(name)
        except MailfleetError as error:
            self.unread.append(UnreadZone(name, driver.label, str(error)))
            return
        made = plan(found, wanted, keep=keep, adopt=self._adopt)
        problems = [f"conflict: {conflict}" for conflict in made.conflicts]
        problems += driver.audit(made)
        if not self._force:
            problems += [
                f"{text}; if that is what you want: mailfleet dns push {self._fleet.source} --force"
                for text in made.unsafe
            ]
        self.zones.append(ZonePlan(driver, made, tuple(problems), self._needs(wanted)))

    def count(self, desired: Desired, lookup: Lookup, in_scope: Callable[[str], bool]) -> None:
        """Add what receivers could not read of the SPF records."""
        for zone, text, stops in excesses(self._fleet, desired, lookup, in_scope):
            if stops:
                self.zones = [
                    replace(entry, problems=(*entry.problems, text))
                    if entry.plan.zone == zone
                    else entry
                    for entry in self.zones
                ]
            else:
                self.notes.append(text)

    def _needs(self, wanted: Sequence[RRset]) -> frozenset[str]:
        names = [value for record in wanted if record.type == "PTR" for value in record.values]
        owners = (self._fleet.domain_of(name.rstrip(".")) for name in names)
        return frozenset(owner.zone for owner in owners if owner is not None)


def _signed(fleet: Fleet, lookup: Lookup) -> list[str]:
    """The zones whose parent vouches for their signatures."""
    found = []
    for zone in dict.fromkeys(domain.zone for domain in fleet.domains):
        try:
            found += [zone] if lookup(zone, "DS") else []
        except LookupFailedError:
            continue
    return found


def _scope(fleet: Fleet, domain: str | None) -> Callable[[str], bool]:
    def in_scope(name: str) -> bool:
        owner = fleet.domain_of(name)
        return domain is None or (owner is not None and owner.name == domain)

    return in_scope


def _settings(fleet: Fleet, zone: str) -> ProviderSettings | None:
    """Several domain files can share a zone; the one of the zone's own name says who serves it."""
    sharing = [domain for domain in fleet.domains if domain.zone == zone and domain.dns]
    sharing.sort(key=lambda domain: domain.name != zone)
    return sharing[0].dns if sharing else None


def _reverse_zones(
    driver: Driver, pointers: Mapping[Address, RRset], notes: list[str]
) -> dict[str, list[RRset]]:
    found: dict[str, list[RRset]] = {}
    for address, record in pointers.items():
        zone = driver.reverse_zone(address)
        if zone is None:
            notes.append(
                f"{address}: {driver.label} has no reverse zone for it; ask the company that the "
                f"address comes from for: {record.name}. PTR {record.values[0]}"
            )
        else:
            found.setdefault(zone, []).append(record)
    return found


def _unread_note(host: str, keys: Keys) -> str:
    if host not in keys:
        return f"{host} was not read; its DKIM records stay as they are"
    if not keys[host].keys:
        return f"{host} has no DKIM key yet; DKIM records of former keys stay as they are"
    return f"{host} has a DKIM key file that cannot be read; none of its DKIM records is deleted"


def _unused(adopt: Collection[str], zones: Sequence[ZonePlan]) -> list[str]:
    adopted = [slot for entry in zones for slot in entry.plan.adopted]
    return [
        f"--adopt {pattern}: nothing foreign there stands in the way of this fleet"
        for pattern in adopt
        if not any(matches(slot, [pattern]) for slot in adopted)
    ]
