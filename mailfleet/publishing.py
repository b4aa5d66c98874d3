"""Publishing a fleet's DNS: records, plans and pushes over all its zones and providers.

Nothing is written before everything is read, planned and audited: a conflict in the last zone must
not leave the first one half done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.providers.base import Driver
from mailfleet.providers.registry import open_driver
from mailfleet.records import Plan, RRset, plan, records
from mailfleet.records.conflicts import matches
from mailfleet.records.dkim import HostKeys, unread_keys
from mailfleet.records.render import summary

Keys = Mapping[str, HostKeys]
"""What each host that could be reached said of its keys."""


@dataclass(frozen=True)
class ZonePlan:
    """What to do to one zone, and through which driver."""

    driver: Driver
    plan: Plan

    @property
    def title(self) -> str:
        return f"{self.plan.zone} at {self.driver.label}: {summary(self.plan)}"


@dataclass(frozen=True)
class Publication:
    """Everything that one push would do."""

    zones: tuple[ZonePlan, ...]
    problems: tuple[str, ...]
    """Why it must not be pushed; empty where it may."""
    notes: tuple[str, ...]
    """What the user should know although it stops nothing."""

    @property
    def is_empty(self) -> bool:
        return all(entry.plan.is_empty for entry in self.zones)

    def refuse(self) -> None:
        """Raise MailfleetError with all problems, if there are any."""
        if self.problems:
            text = "\n".join(f"- {problem}" for problem in self.problems)
            raise MailfleetError(f"nothing was published:\n{text}")


def prepare(
    fleet: Fleet,
    keys: Keys,
    *,
    adopt: Collection[str] = (),
    force: bool = False,
    domain: str | None = None,
) -> Publication:
    """Read every zone and plan it. `domain` limits the records to those of one domain file."""
    read = {host for host, found in keys.items() if found.complete}
    desired = records(fleet, [key for found in keys.values() for key in found.keys])
    notes = [_unread_note(host.name, keys) for host in fleet.hosts if host.name not in read]
    problems: list[str] = []
    drivers = _Drivers(fleet)
    in_scope = _scope(fleet, domain)
    unread = unread_keys(fleet, read)

    def keep(name: str) -> bool:
        return unread(name) or not in_scope(name)

    def keep_pointer(_: str) -> bool:
        # Which domain a stale PTR record belonged to, its name does not tell.
        return domain is not None

    zones: list[ZonePlan] = []
    for name, wanted in desired.zones.items():
        own = [record for record in wanted if in_scope(record.name)]
        settings = _settings(fleet, name)
        if own and settings is None:
            notes.append(f"{name}: no [dns] provider, so its {len(own)} records are not published")
        elif own and settings is not None:
            driver = drivers.open(settings)
            made = plan(driver.read(name), own, keep=keep, adopt=adopt)
            zones.append(ZonePlan(driver, made))
    if fleet.reverse_dns is not None:
        driver = drivers.open(fleet.reverse_dns)
        pointers = {a: r for a, r in desired.reverse.items() if in_scope(r.values[0].rstrip("."))}
        for name, own in _reverse_zones(driver, pointers, problems).items():
            made = plan(driver.read(name), own, keep=keep_pointer, adopt=adopt)
            zones.append(ZonePlan(driver, made))

    problems += _problems(zones, force)
    notes += _unused(adopt, zones)
    return Publication(tuple(zones), tuple(problems), tuple(notes))


def publish(publication: Publication, report: Callable[[str], None] = lambda _: None) -> None:
    """Carry it out, zone by zone; `report` hears of each zone that is done.

    Address records come before PTR records, which point at them. MailfleetError where there are
    problems, before the first write.
    """
    publication.refuse()
    for entry in publication.zones:
        if not entry.plan.is_empty:
            entry.driver.apply(entry.plan)
            report(f"{entry.plan.zone}: done, {len(entry.plan.changes)} record sets changed")


class _Drivers:
    """One driver for each provider's settings."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._open: dict[ProviderSettings, Driver] = {}

    def open(self, settings: ProviderSettings) -> Driver:
        if settings not in self._open:
            self._open[settings] = open_driver(settings, self._fleet)
        return self._open[settings]


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
    driver: Driver, pointers: Mapping[Address, RRset], problems: list[str]
) -> dict[str, list[RRset]]:
    found: dict[str, list[RRset]] = {}
    for address, record in pointers.items():
        zone = driver.reverse_zone(address)
        if zone is None:
            problems.append(
                f"{driver.label} serves no reverse zone for {address}; create it there, or remove "
                "reverse_dns from the inventory and let the address's owner set the PTR record"
            )
        else:
            found.setdefault(zone, []).append(record)
    return found


def _problems(zones: Sequence[ZonePlan], force: bool) -> list[str]:
    found = []
    for entry in zones:
        zone = entry.plan.zone
        found += [f"{zone}: conflict: {conflict}" for conflict in entry.plan.conflicts]
        found += [f"{zone}: {text}" for text in entry.driver.audit(entry.plan)]
        if not force:
            found += [
                f"{zone}: {text}; if that is what you want, push with --force"
                for text in entry.plan.unsafe
            ]
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
