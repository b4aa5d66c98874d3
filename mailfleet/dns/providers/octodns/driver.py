"""The octoDNS driver: any provider class, given only what we change.

A provider without labels or comments is told apart by the list of owned records in the zone. No
class promises to do all or nothing, so the list claims before, and lets go after, the changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailfleet.apis.retry import until_shown
from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Owned, is_list, read_list, union, write_list
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal, Snapshot
from mailfleet.dns.providers.octodns.api import Arguments, arguments, provider_class, references
from mailfleet.dns.providers.octodns.audit import refusals
from mailfleet.dns.providers.octodns.convert import changed, empty_zone, rrset_of
from mailfleet.dns.providers.octodns.errors import (
    changed_meanwhile,
    explained,
    not_shown,
    would_change_more,
)
from mailfleet.dns.rrset import RRset, canonical_name, enclosing
from mailfleet.errors import MailfleetError, RefusedError
from mailfleet.model import Address, Fleet, OctodnsSettings
from mailfleet.project.environment import environment_of

_LIST_TTL = 300


def open_provider(settings: OctodnsSettings, fleet: Fleet) -> Provider:
    """The driver for a fleet; looks secrets up and loads the provider class."""
    given = arguments(settings.octodns, environment_of(fleet).secret)
    return Provider(OctoDns(given, fleet.name))


def secrets_of(settings: OctodnsSettings) -> tuple[tuple[str, str], ...]:
    """The environment variables that the table names as env/NAME."""
    return tuple(references(settings.octodns))


@dataclass(frozen=True)
class _PopulatedZone:
    """A zone as octoDNS has it, and its RRsets."""

    zone: Any
    records: dict[tuple[str, str], RRset]


class OctoDns:
    """One octoDNS provider class; see `mailfleet.dns.providers.base.Driver`."""

    def __init__(
        self, given: Arguments, fleet: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.label = f"octodns {given.path}"
        self._given = given
        self._fleet = fleet
        self._sleep = sleep
        provider = provider_class(given.path)
        secrets = {name: secret.reveal() for name, secret in given.secrets.items()}
        with explained(given, "open the provider"):
            self._provider = provider("mailfleet", **given.plain, **secrets)
            # We leave the root's name servers out on purpose.
            self._provider.root_ns_warnings = False

    def read(self, zone: str) -> Snapshot[_PopulatedZone]:
        """The zone as the class populates it; record types that octoDNS does not know stay out."""
        content = self._populated(zone)
        shown = [
            record
            for record in content.records.values()
            if record.key not in {(zone, "NS"), (zone, "SOA")}
            and not (record.type == "TXT" and is_list(record.name, zone))
        ]
        owned = read_list(zone, self._fleet, content.records.values())
        return Snapshot(zone, tuple(sorted(shown)), owned, content=content)

    def audit(self, plan: Plan, snapshot: Snapshot[_PopulatedZone]) -> tuple[Refusal, ...]:  # noqa: ARG002
        """Types that the class does not write, and values that octoDNS refuses or could damage."""
        return tuple(refusals(plan, self._given.path, frozenset(self._provider.SUPPORTS)))

    def apply(self, plan: Plan, snapshot: Snapshot[_PopulatedZone]) -> None:
        """Claim, change, let go: each step is read back before the next."""
        before = snapshot.content
        now = self._populated(plan.zone)
        self._unchanged(plan, before, now)
        both = union(plan.owned_before, plan.owned_after)
        now = self._step(plan.zone, now, self._list_changes(plan.zone, now, both))
        # The claim may have taken a while.
        self._unchanged(plan, before, now)
        now = self._step(plan.zone, now, plan.changes)
        self._step(plan.zone, now, self._list_changes(plan.zone, now, plan.owned_after))

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The longest fitting zones of those that the class lists; not every class can list."""
        if not hasattr(self._provider, "list_zones"):
            return {}
        with explained(self._given, "list the zones"):
            zones = frozenset(canonical_name(str(name)) for name in self._provider.list_zones())
        by_address = {address: enclosing(name, zones) for address, name in reverse_names.items()}
        return {address: zone for address, zone in by_address.items() if zone is not None}

    def _unchanged(self, plan: Plan, before: _PopulatedZone, now: _PopulatedZone) -> None:
        for change in plan.changes:
            if before.records.get(change.key) != now.records.get(change.key):
                raise changed_meanwhile(self._given, plan.zone, " ".join(change.key))

    def _populated(self, zone: str) -> _PopulatedZone:
        existing = empty_zone(zone)
        with explained(self._given, f"read the zone {zone}"):
            exists = self._provider.populate(existing, target=True, lenient=True)
            records = {record.key: record for record in map(rrset_of, existing.records)}
        if exists is False:
            # octoDNS itself would create it.
            problem = f"{self._given.path} has no zone {zone}"
            raise MailfleetError(problem, "create it there, or set zone in [dns] to one that is")
        return _PopulatedZone(existing, records)

    def _step(self, zone: str, now: _PopulatedZone, changes: Sequence[Change]) -> _PopulatedZone:
        if not changes:
            return now
        keys = {change.key for change in changes}
        with explained(self._given, f"change the zone {zone}", RefusedError):
            plan = self._provider.plan(changed(now.zone, changes))
            others = [_key(change) for change in plan.changes] if plan else []
            if strange := sorted(" ".join(key) for key in others if key not in keys):
                raise would_change_more(self._given, zone, strange)
            if plan:
                # How much a plan may change is our own limit's business; the root NS is not.
                plan.update_pcent_threshold = plan.delete_pcent_threshold = 1.0
                plan.raise_if_unsafe()
                self._provider.apply(plan)
        return self._read_back(zone, changes)

    def _read_back(self, zone: str, changes: Sequence[Change]) -> _PopulatedZone:
        def missing(now: _PopulatedZone) -> list[str]:
            return [" ".join(c.key) for c in changes if now.records.get(c.key) != c.new]

        now = until_shown(lambda: self._populated(zone), lambda n: not missing(n), self._sleep)
        if names := missing(now):
            raise not_shown(self._given, zone, sorted(names))
        return now

    def _list_changes(self, zone: str, now: _PopulatedZone, owned: Owned) -> list[Change]:
        lists = [r for r in now.records.values() if r.type == "TXT" and is_list(r.name, zone)]
        before = {record.name: record for record in lists}
        changes = []
        for new in write_list(zone, self._fleet, owned, lists, _LIST_TTL):
            old = before.get(new.name)
            if old is None or old.values != new.values:
                changes.append(Change(old, new if new.values else None))
        return [change for change in changes if change.old or change.new]


def _key(change: Any) -> tuple[str, str]:
    record = change.record
    return canonical_name(str(record.fqdn)), str(record._type)
