"""Publishing a fleet's DNS: records, plans and pushes over all its zones and providers.

Everything is read, planned and audited before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan.conflicts import matches
from mailfleet.dns.plan.needs import Key, Needs, needs_of
from mailfleet.dns.plan.zone import Plan, held, plan
from mailfleet.dns.providers.base import (
    Content,
    Driver,
    PtrDriver,
    Refusal,
    Snapshot,
)
from mailfleet.dns.providers.registry import open_driver, open_ptr
from mailfleet.dns.publish import by_hand, reverse
from mailfleet.dns.publish.apply import PublishError, ZoneOutcome, publish
from mailfleet.dns.publish.notes import Keys, unread_notes, unsure_notes
from mailfleet.dns.publish.plan import Publication, UnreadZone, ZonePlan, relying
from mailfleet.dns.publish.ptr import AddressNames
from mailfleet.dns.publish.spf_limits import spf_limit_problems
from mailfleet.dns.records import dane
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.desired import Desired, records
from mailfleet.dns.records.dkim import unread_keys
from mailfleet.dns.records.ptr import ptr_records
from mailfleet.dns.rrset import RRset
from mailfleet.errors import MailfleetError
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
    read = {host for host, found in keys.items() if found.complete}
    in_scope = _scope(fleet, domain)
    dnssec = dane.signatures(fleet, lookup, in_scope)
    desired = records(
        fleet,
        [key for found in keys.values() for key in found.keys],
        certificates=certificates,
        signed=dnssec.signed,
    )
    run = _Run(fleet, adopt, force, lookup)
    run.notes += unread_notes(fleet, keys)
    run.notes += unsure_notes(fleet, keys, certificates, dnssec)
    unread = unread_keys(fleet, read)
    unsure = dane.unsure(fleet, certificates, dnssec)

    def keep(name: str) -> bool:
        return unread(name) or unsure(name) or not in_scope(name)

    for name, wanted in desired.items():
        own = [record for record in wanted if in_scope(record.name)]
        settings = _settings(fleet, name)
        if own:
            progress(f"{name}: reading, {len(own)} record sets are wanted")
        if own and settings.provider == "manual":
            run.zones.append(by_hand.planned(name, own, answers))
        elif own:
            run.add(settings, name, own, keep)
    ptr = {a: record for a, record in ptr_records(fleet).items() if in_scope(record.name)}
    if ptr:
        progress(f"looking for the PTR records of {len(ptr)} addresses")
    placed = reverse.located(ptr, reverse.real(fleet, ptr), lookup)
    # Which domain a stale PTR record belonged to, its name does not tell; nor, where an alias could
    # not be followed, which record is the address's.
    run.add_reverse(placed.ptr_records, lambda _: domain is not None or bool(placed.unknown))
    if lookup is not None:
        run.count(desired, in_scope)
    run.notes += _unused(adopt, run.zones)
    wanted_records = [r for zone in desired.values() for r in zone]
    needs = needs_of([*wanted_records, *(r.rrset for r in placed.ptr_records.values())])
    return Publication(run.held(needs), tuple(run.notes), tuple(run.unread), needs)


class _Run:
    """One preparation: a driver for each provider's settings, and what was found so far."""

    def __init__(
        self, fleet: Fleet, adopt: Collection[str], force: bool, lookup: Lookup | None
    ) -> None:
        self._fleet = fleet
        self._adopt = adopt
        self._force = force
        self._lookup = lookup
        self._drivers: dict[ProviderSettings, Driver[Any] | MailfleetError] = {}
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
        keys = frozenset(record.key for record in wanted)
        try:
            driver = self._open(settings)
            self._plan(driver, driver.read(name), wanted, keep)
        except MailfleetError as error:
            self.unread.append(UnreadZone(name, self._label(settings), str(error), keys))

    def _plan(
        self,
        driver: Driver[Content],
        snapshot: Snapshot[Content],
        wanted: Sequence[RRset],
        keep: Callable[[str], bool],
    ) -> None:
        keys = frozenset(record.key for record in wanted)
        complete = plan(snapshot, wanted, keep=keep, adopt=self._adopt, lookup=self._lookup)
        refused = driver.audit(complete, snapshot)
        stops = tuple(refusal.text for refusal in refused if refusal.key is None)
        accepted = self._accepted(complete, refused)
        self.zones.append(ZonePlan(driver, accepted, snapshot, stops, keys))

    def _accepted(self, made: Plan, refused: Iterable[Refusal]) -> Plan:
        """The plan without the record sets that the provider would not take.

        A provider that takes no TLSA records gets none: without them mail is less protected, but
        nothing is wrong. Not where an old one would stay: senders that believe it keep their mail.
        """
        new = {change.key for change in made.changes if change.old is None}
        reasons: dict[Key, list[str]] = {}
        for one in refused:
            if one.key is not None:
                reasons.setdefault(one.key, []).append(one.text)
        bare = {key: why for key, why in reasons.items() if key[1] == "TLSA" and key in new}
        less = replace(held(made, dict.fromkeys(bare, "")), held=made.held)
        self.notes += [
            f"{made.zone}: left out, so senders have no DANE: {text}"
            for _, texts in sorted(bare.items())
            for text in texts
        ]
        return held(less, {k: "; ".join(why) for k, why in reasons.items() if k not in bare})

    def held(self, needs: Needs) -> tuple[ZonePlan, ...]:
        """The zones' plans without what relies on something that will not be as planned."""
        # What somebody is to enter by hand may be there by the time of the push, which looks again.
        unready = {key for entry in self.zones if not entry.by_hand for key in entry.unready}
        reasons = relying(needs, unready, self.unread)
        return tuple(self._limited(entry.without(reasons)) for entry in self.zones)

    def _limited(self, entry: ZonePlan) -> ZonePlan:
        if self._force:
            return entry
        how = f"if that is what you want: mailfleet dns push {self._fleet.source} --force"
        stops = tuple(f"{text}; {how}" for text in entry.plan.unsafe)
        return replace(entry, stops=(*entry.stops, *stops))

    def add_reverse(self, ptr_records: reverse.PtrRecords, keep: Callable[[str], bool]) -> None:
        """Plan the reverse zones, and note the PTR records that only others can make."""
        for settings, own in reverse.by_provider(self._fleet, ptr_records).items():
            if settings is None:
                reason = f"{self._fleet.source} names no reverse_dns"
                known = reverse.real(self._fleet, own)
                self.notes += reverse.requests(own, reason, known, self._lookup)
            else:
                self._add_reverse_of(settings, own, keep)

    def _add_reverse_of(
        self,
        settings: ProviderSettings,
        ptr_records: reverse.PtrRecords,
        keep: Callable[[str], bool],
    ) -> None:
        zones: dict[str, list[RRset]] = {}
        try:
            if ptr := open_ptr(settings, self._fleet):
                elsewhere = self._add_addresses(ptr, ptr_records, keep)
            else:
                zones, elsewhere = reverse.by_zone(self._open(settings), ptr_records)
        except MailfleetError as error:
            label = self._label(settings)
            self.unread.append(UnreadZone(f"reverse zones at {label}", label, str(error)))
            return
        known = reverse.real(self._fleet, ptr_records)
        reason = f"{self._label(settings)} has no reverse zone for some addresses"
        self.notes += reverse.requests(elsewhere, reason, known, self._lookup)
        for name, own in zones.items():
            self.add(settings, name, own, keep)

    def _add_addresses(
        self, ptr: PtrDriver, ptr_records: reverse.PtrRecords, keep: Callable[[str], bool]
    ) -> reverse.PtrRecords:
        """Plan the names of the addresses that the provider has; the records of all others."""
        # An alias leads away from the provider's own names (RFC 2317).
        own = [record for record in ptr_records.values() if not record.is_aliased]
        names = AddressNames(ptr, own, lambda name: self._fleet.domain_of(name) is not None)
        snapshot = names.read()
        wanted = [record.rrset for record in own if record.address in snapshot.content]
        if wanted:
            self._plan(names, snapshot, wanted, keep)
        return {a: r for a, r in ptr_records.items() if r.is_aliased or a not in snapshot.content}

    def _open(self, settings: ProviderSettings) -> Driver[Any]:
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

    def count(self, desired: Desired, in_scope: Callable[[str], bool]) -> None:
        """Hold the SPF records back that receivers could not read."""
        assert self._lookup is not None
        reasons: dict[Key, str] = {}
        for name, text, stops in spf_limit_problems(self._fleet, desired, self._lookup, in_scope):
            if stops:
                reasons[name, "TXT"] = text
            else:
                self.notes.append(text)
        for at, entry in enumerate(self.zones):
            # What somebody enters by hand is not held back, but told.
            changing = set() if entry.by_hand else {c.key for c in entry.plan.changes}
            there = entry.wanted & reasons.keys() - changing
            faults = tuple(reasons[key] for key in sorted(there))
            self.zones[at] = replace(entry.without(reasons), faults=faults)


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
