"""Publishing a fleet's DNS: records, plans and pushes over all its zones and providers.

Everything is read, planned and audited before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mailfleet import reverse
from mailfleet.applying import PublishError, ZoneOutcome, publish
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, Host, ProviderSettings
from mailfleet.providers.base import Driver
from mailfleet.providers.registry import open_driver
from mailfleet.publication import Publication, UnreadZone, ZonePlan
from mailfleet.records import Desired, Plan, RRset, dane, plan, records
from mailfleet.records.conflicts import matches
from mailfleet.records.dane import Certificates
from mailfleet.records.dkim import HostKeys, unread_keys
from mailfleet.records.lookup import Lookup
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


def prepare(
    fleet: Fleet,
    keys: Keys,
    *,
    adopt: Collection[str] = (),
    force: bool = False,
    domain: str | None = None,
    lookup: Lookup | None = None,
    certificates: Certificates | None = None,
) -> Publication:
    """Read every zone and plan it. `domain` limits the records to those of one domain file.

    With `lookup`, the look-ups of SPF records are counted through their foreign includes, TLSA
    records are made of `certificates` where it finds the zone signed, and PTR records that are
    there already are asked of nobody. What cannot be read stops no other zone.
    """
    certificates = certificates or {}
    read = {host for host, found in keys.items() if found.complete}
    in_scope = _scope(fleet, domain)
    dnssec = dane.signatures(fleet, lookup, in_scope)
    desired = records(
        fleet,
        [key for found in keys.values() for key in found.keys],
        certificates=certificates,
        signed=dnssec.signed,
    )
    run = _Run(fleet, adopt, force)
    run.notes += [_unread_note(host, keys) for host in fleet.hosts if host.name not in read]
    run.notes += _unsure_notes(fleet, keys, certificates, dnssec)
    unread = unread_keys(fleet, read)
    unsure = dane.unsure(fleet, certificates, dnssec)

    def keep(name: str) -> bool:
        return unread(name) or unsure(name) or not in_scope(name)

    def keep_pointer(_: str) -> bool:
        # Which domain a stale PTR record belonged to, its name does not tell.
        return domain is not None

    for name, wanted in desired.zones.items():
        own = [record for record in wanted if in_scope(record.name)]
        settings = _settings(fleet, name)
        if own and settings is not None:
            run.add(settings, name, own, keep)
        elif own:
            run.notes.append(
                f"{name}: no [dns] provider, so its {len(own)} records are not published"
            )
    pointers = {a: r for a, r in desired.reverse.items() if in_scope(r.values[0].rstrip("."))}
    run.add_reverse(pointers, keep_pointer, lookup)
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
        self._drivers: dict[ProviderSettings, Driver | MailfleetError] = {}
        self.zones: list[ZonePlan] = []
        self.unread: list[UnreadZone] = []
        self.notes: list[str] = []

    def add(
        self,
        settings: ProviderSettings,
        name: str,
        wanted: Sequence[RRset],
        keep: Callable[[str], bool],
    ) -> None:
        """Plan one zone; one that cannot be read stops no other."""
        try:
            driver = self._open(settings)
            made, refused = self._planned(driver, name, wanted, keep)
        except MailfleetError as error:
            self.unread.append(UnreadZone(name, self._label(settings), str(error)))
            return
        problems = [f"conflict: {conflict}" for conflict in made.conflicts]
        problems += refused
        if not self._force:
            problems += [
                f"{text}; if that is what you want: mailfleet dns push {self._fleet.source} --force"
                for text in made.unsafe
            ]
        self.zones.append(ZonePlan(driver, made, tuple(problems), self._needs(wanted)))

    def _planned(
        self, driver: Driver, name: str, wanted: Sequence[RRset], keep: Callable[[str], bool]
    ) -> tuple[Plan, tuple[str, ...]]:
        """The plan, and what the provider would refuse of it.

        A provider that takes no TLSA records gets none: without them mail is less protected, but
        without the others it is not believed.
        """
        found = driver.read(name)
        made = plan(found, wanted, keep=keep, adopt=self._adopt)
        refused = driver.audit(made)
        # Not where an old TLSA would stay: senders that believe it would keep their mail.
        new = {c.key[0] for c in made.changes if c.key[1] == "TLSA" and c.old is None}
        out = {at: text for at in new for text in refused if f"{at} TLSA" in text}
        if not out:
            return made, refused
        others = [record for record in wanted if (record.name, record.type) not in _tlsa(out)]
        less = plan(found, others, keep=keep, adopt=self._adopt)
        self.notes += [
            f"{name}: left out, so senders have no DANE: {text}" for _, text in sorted(out.items())
        ]
        return less, driver.audit(less)

    def add_reverse(
        self, pointers: reverse.Pointers, keep: Callable[[str], bool], lookup: Lookup | None
    ) -> None:
        """Plan the reverse zones, and note the PTR records that only others can make."""
        settings = self._fleet.reverse_dns
        if not pointers:
            return
        if settings is None:
            reason = f"{self._fleet.source} names no reverse_dns"
            self.notes += reverse.requests(pointers, reason, lookup)
            return
        try:
            zones, elsewhere = reverse.by_zone(self._open(settings), pointers)
        except MailfleetError as error:
            label = self._label(settings)
            self.unread.append(UnreadZone(f"reverse zones at {label}", label, str(error)))
            return
        reason = f"{self._label(settings)} has no reverse zone for it"
        self.notes += reverse.requests(elsewhere, reason, lookup)
        for name, own in zones.items():
            self.add(settings, name, own, keep)

    def _open(self, settings: ProviderSettings) -> Driver:
        """The driver, or the error that there was when it was opened first."""
        if settings not in self._drivers:
            try:
                self._drivers[settings] = open_driver(settings, self._fleet)
            except MailfleetError as error:
                self._drivers[settings] = error
        found = self._drivers[settings]
        if isinstance(found, MailfleetError):
            raise found
        return found

    def _label(self, settings: ProviderSettings) -> str:
        """What a user knows the provider by, also one that cannot be opened."""
        driver = self._drivers.get(settings)
        if driver is None or isinstance(driver, MailfleetError):
            detail = settings.server or dict(settings.octodns).get("class") or ""
            return f"{settings.provider} {detail}".rstrip()
        return driver.label

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


def _tlsa(names: Collection[str]) -> set[tuple[str, str]]:
    return {(name, "TLSA") for name in names}


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


def _unread_note(host: Host, keys: Keys) -> str:
    name = host.name
    if name not in keys:
        kinds = "DKIM and TLSA records" if host.inbound else "DKIM records"
        return f"{name} was not read; its {kinds} stay as they are"
    if not keys[name].keys:
        return f"{name} has no DKIM key yet; DKIM records of former keys stay as they are"
    return f"{name} has a DKIM key file that cannot be read; none of its DKIM records is deleted"


def _unsure_notes(
    fleet: Fleet, keys: Keys, certificates: Certificates, dnssec: dane.Signatures
) -> Iterator[str]:
    for zone, problem in dnssec.unknown.items():
        if problem:
            yield (
                f"{zone}: whether it is signed is not known, so its TLSA records stay as they are: "
                f"{problem}"
            )
    for host, zone in dane.zones(fleet):
        if zone in dnssec.signed and host.name in keys and host.name not in certificates:
            yield f"{host.name} has no certificate that can be read; its TLSA record stays as it is"


def _unused(adopt: Collection[str], zones: Sequence[ZonePlan]) -> list[str]:
    adopted = [slot for entry in zones for slot in entry.plan.adopted]
    return [
        f"--adopt {pattern}: nothing foreign there stands in the way of this fleet"
        for pattern in adopt
        if not any(matches(slot, [pattern]) for slot in adopted)
    ]
