"""The RFC 2136 driver: a zone is read by AXFR and changed by one UPDATE, both signed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dns.tsig

from mailfleet.dns.plan.ownership import is_list, read_list
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal, Snapshot
from mailfleet.dns.providers.rfc2136.api import NameServer
from mailfleet.dns.providers.rfc2136.audit import refusals
from mailfleet.dns.providers.rfc2136.convert import Exact, batches, message, records
from mailfleet.dns.providers.rfc2136.errors import Peer
from mailfleet.dns.providers.rfc2136.tsig import tsig_key
from mailfleet.dns.rrset import RRset
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.project.environment import environment_of

_THREADS = 32


def tsig_secret(settings: ProviderSettings) -> tuple[str, str]:
    """Name and purpose of the secret that a server's settings name."""
    purpose = f"the TSIG key {settings.key} of the name server {settings.server}"
    return f"tsig-{settings.key}", purpose


def open_rfc2136(settings: ProviderSettings, fleet: Fleet) -> Rfc2136:
    """The driver of a server for a fleet; looks the TSIG secret up."""
    server, name = settings.server or "", settings.key or ""
    found = environment_of(fleet).secret(*tsig_secret(settings))
    return Rfc2136(Peer(server, settings.port, name), tsig_key(name, found), fleet.name)


@dataclass(frozen=True)
class Transfer:
    """What a transfer brought beside the records of a plan."""

    lists: tuple[RRset, ...]
    """The parts of the list of owned records."""
    exact: Exact


class Rfc2136:
    """A primary name server; see `mailfleet.dns.providers.base.Driver`."""

    def __init__(self, peer: Peer, key: dns.tsig.Key, fleet: str) -> None:
        self.label = f"rfc2136 {peer.address}"
        self._server = NameServer(peer, key)
        self._fleet = fleet

    def read(self, zone: str) -> Snapshot[Transfer]:
        """The zone by AXFR (RFC 5936)."""
        found, exact = records(zone, self._server.transfer(zone))
        lists = tuple(r for r in found if r.type == "TXT" and is_list(r.name, zone))
        owned = read_list(zone, self._fleet, found)
        shown = tuple(r for r in found if r not in lists)
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
