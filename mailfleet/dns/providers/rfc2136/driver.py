"""The RFC 2136 driver: a zone is read by AXFR and changed by one UPDATE, both signed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dns.tsig

from mailfleet.dns.plan.ownership import is_list, read_list
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal, Snapshot
from mailfleet.dns.providers.rfc2136.api import NameServer
from mailfleet.dns.providers.rfc2136.audit import refusals
from mailfleet.dns.providers.rfc2136.convert import Exact, batches, message, records
from mailfleet.dns.providers.rfc2136.tsig import tsig_key
from mailfleet.dns.rrset import RRset
from mailfleet.model import Address, Fleet, Rfc2136Settings
from mailfleet.project.environment import environment_of
from mailfleet.secrets import variable

_THREADS = 32


def open_provider(settings: Rfc2136Settings, fleet: Fleet) -> Provider:
    """The driver of a server for a fleet; looks the TSIG secret up."""
    secret = environment_of(fleet).secret(*_tsig_secret(settings))
    return Provider(Rfc2136(settings, tsig_key(settings.key, secret), fleet.name))


def secrets_of(settings: Rfc2136Settings) -> tuple[tuple[str, str], ...]:
    """The TSIG secret."""
    name, purpose = _tsig_secret(settings)
    return ((variable(name), purpose),)


def _tsig_secret(settings: Rfc2136Settings) -> tuple[str, str]:
    """Name and purpose."""
    purpose = f"the TSIG key {settings.key} of the name server {settings.server}"
    return f"tsig-{settings.key}", purpose


@dataclass(frozen=True)
class Transfer:
    """What a transfer brought beside the records of a plan."""

    lists: tuple[RRset, ...]
    """The parts of the list of owned records."""
    exact: Exact


class Rfc2136:
    """A primary name server; see `mailfleet.dns.providers.base.Driver`."""

    def __init__(self, settings: Rfc2136Settings, key: dns.tsig.Key, fleet: str) -> None:
        self.label = settings.label
        self._server = NameServer(settings, key)
        self._fleet = fleet

    def read(self, zone: str) -> Snapshot[Transfer]:
        """The zone by AXFR (RFC 5936)."""
        rrsets, exact = records(zone, self._server.transfer(zone))
        lists = tuple(r for r in rrsets if r.type == "TXT" and is_list(r.name, zone))
        owned = read_list(zone, self._fleet, rrsets)
        shown = tuple(r for r in rrsets if r not in lists)
        return Snapshot(zone, shown, owned, content=Transfer(lists, exact))

    def audit(self, plan: Plan, snapshot: Snapshot[Transfer]) -> tuple[Refusal, ...]:  # noqa: ARG002
        """Records outside of the zone, and RRsets that no DNS message can hold."""
        return tuple(refusals(plan))

    def apply(self, plan: Plan, snapshot: Snapshot[Transfer]) -> None:
        """One UPDATE with prerequisites: all of the plan or, if the zone has changed, nothing."""
        lists, exact = snapshot.content.lists, snapshot.content.exact
        for batch in batches(plan, lists, self._fleet):
            self._server.update(plan.zone, message(plan.zone, batch, exact, self._server.key))

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The zones in which the server would look the names up, all asked side by side."""
        with ThreadPoolExecutor(_THREADS) as pool:
            zones = list(pool.map(self._server.zone_of, reverse_names.values()))
        return {a: zone for a, zone in zip(reverse_names, zones, strict=True) if zone is not None}
