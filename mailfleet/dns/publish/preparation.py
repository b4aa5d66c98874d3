"""The zones of one publication while they are read and planned, one by one.

A provider that cannot be opened, or a zone that cannot be read, stops no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailfleet.dns.providers.base import Driver, PtrDriver
from mailfleet.dns.publish import by_hand, reverse
from mailfleet.dns.publish.plan import UnreadZone, ZonePlan
from mailfleet.dns.publish.providers import Providers
from mailfleet.dns.publish.ptr import AddressNames
from mailfleet.dns.publish.zone import Keep, Wishes, planned
from mailfleet.dns.rrset import RRset
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, ManualSettings, ProviderSettings


class Preparation:
    """What is planned, could not be read, and should be known so far."""

    def __init__(self, fleet: Fleet, wishes: Wishes, answers: by_hand.Answers) -> None:
        self._fleet = fleet
        self._wishes = wishes
        self._answers = answers
        self._providers = Providers(fleet)
        self.zones: list[ZonePlan] = []
        self.unread: list[UnreadZone] = []
        self.notes: list[str] = []

    def add(
        self, settings: ProviderSettings, zone: str, wanted: Sequence[RRset], keep: Keep
    ) -> None:
        """Plan one zone."""
        if isinstance(settings, ManualSettings):
            self.zones.append(by_hand.planned(zone, wanted, self._answers))
            return
        try:
            self._plan(self._providers.open(settings).zones, zone, wanted, keep)
        except MailfleetError as error:
            keys = frozenset(record.key for record in wanted)
            self.unread.append(UnreadZone(zone, settings.label, str(error), keys))

    def add_reverse(self, ptr_records: reverse.PtrRecords, keep: Keep) -> None:
        """Plan the PTR records, and note those that only others can make."""
        for settings, own in reverse.by_provider(self._fleet, ptr_records).items():
            if settings is None:
                self._request(own, f"{self._fleet.source} names no reverse_dns")
            else:
                self._add_reverse_of(settings, own, keep)

    def _plan(self, driver: Driver[Any], zone: str, wanted: Sequence[RRset], keep: Keep) -> None:
        entry, notes = planned(driver, driver.read(zone), wanted, keep, self._wishes)
        self.zones.append(entry)
        self.notes += notes

    def _add_reverse_of(
        self, settings: ProviderSettings, ptr_records: reverse.PtrRecords, keep: Keep
    ) -> None:
        zones: dict[str, list[RRset]] = {}
        try:
            provider = self._providers.open(settings)
            if provider.ptr:
                elsewhere = self._add_addresses(provider.ptr, ptr_records, keep)
            else:
                zones, elsewhere = reverse.by_zone(provider.zones, ptr_records)
        except MailfleetError as error:
            label = settings.label
            self.unread.append(UnreadZone(f"reverse zones at {label}", label, str(error)))
            return
        self._request(elsewhere, f"{settings.label} has no reverse zone for some addresses")
        for zone, own in zones.items():
            self.add(settings, zone, own, keep)

    def _add_addresses(
        self, ptr: PtrDriver, ptr_records: reverse.PtrRecords, keep: Keep
    ) -> reverse.PtrRecords:
        """Plan the names of the addresses that the provider has; the records of all others."""
        # An alias leads away from the provider's own names (RFC 2317).
        own = [record for record in ptr_records.values() if not record.is_aliased]
        names = AddressNames(ptr, own, lambda name: self._fleet.domain_of(name) is not None)
        snapshot = names.read()
        wanted = [record.rrset for record in own if record.address in snapshot.content]
        if wanted:
            entry, notes = planned(names, snapshot, wanted, keep, self._wishes)
            self.zones.append(entry)
            self.notes += notes
        return {a: r for a, r in ptr_records.items() if r.is_aliased or a not in snapshot.content}

    def _request(self, ptr_records: reverse.PtrRecords, reason: str) -> None:
        """Note the PTR records that the addresses' owners are to be asked for."""
        known = reverse.real(self._fleet, ptr_records)
        self.notes += reverse.requests(ptr_records, reason, known, self._wishes.lookup)
