"""The Hetzner driver: a zone is read by pages of 100 RRsets and changed RRset by RRset."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from hcloud.zones import Zone as ApiZone

from mailfleet.apis.hetzner.client import ENDPOINT, Connection
from mailfleet.apis.hetzner.errors import PERMISSION, VARIABLE, read_only
from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal, Snapshot
from mailfleet.dns.providers.hetzner.api import ZoneApi
from mailfleet.dns.providers.hetzner.audit import refusals
from mailfleet.dns.providers.hetzner.batches import batches
from mailfleet.dns.providers.hetzner.convert import ApiRRsets, Mark
from mailfleet.dns.providers.hetzner.errors import changed
from mailfleet.dns.providers.hetzner.ptr import HetznerPtr
from mailfleet.dns.providers.hetzner.sending import Sender
from mailfleet.dns.providers.hetzner.writes import claims, writes
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, HetznerSettings
from mailfleet.project.environment import environment_of

_ENDPOINT = "MAILFLEET_HETZNER_ENDPOINT"


def open_provider(settings: HetznerSettings, fleet: Fleet) -> Provider:  # noqa: ARG001
    """Zones and PTR records of the token's project, over one connection; looks the token up.

    MAILFLEET_HETZNER_ENDPOINT names another address of the API, for tests and proxies.
    """
    token = environment_of(fleet).secret("hetzner", PERMISSION)
    connection = Connection(token, os.environ.get(_ENDPOINT) or ENDPOINT)
    return Provider(Hetzner(connection, fleet.name), HetznerPtr(connection))


def secrets_of(settings: HetznerSettings) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """The token."""
    return ((VARIABLE, PERMISSION),)


@dataclass(frozen=True)
class ZoneRRsets:
    """A zone in the API's own form."""

    zone: ApiZone
    rrsets: ApiRRsets


class Hetzner:
    """The zones of a Hetzner project; see `mailfleet.dns.providers.base.Driver`."""

    label = "hetzner"

    def __init__(self, connection: Connection, fleet: str) -> None:
        self._connection = connection
        self._api = ZoneApi(connection)
        self._mark = Mark(fleet)

    def read(self, zone: str) -> Snapshot[ZoneRRsets]:
        """The zone's RRsets, 100 in a request."""
        api = self._api.zone(zone)
        rrsets = self._api.rrsets(zone, api)
        shown = tuple(rrsets[key].rrset for key in sorted(rrsets))
        owned = self._mark.owned(rrsets.values())
        return Snapshot(zone, shown, owned, content=ZoneRRsets(api, rrsets))

    def audit(self, plan: Plan, snapshot: Snapshot[ZoneRRsets]) -> tuple[Refusal, ...]:
        """What the API does not take, protected RRsets, and a token that may only read."""
        refused = tuple(refusals(plan, snapshot.content.rrsets, self._mark))
        if plan.is_empty or self._connection.may_write:
            return refused
        return (*refused, Refusal(read_only()))

    def apply(self, plan: Plan, snapshot: Snapshot[ZoneRRsets]) -> None:
        """Phase by phase; nothing is sent if an RRset of the plan is not as it was planned for."""
        api = snapshot.content.zone
        # Minutes may have passed since the plan was made.
        rrsets = self._api.rrsets(plan.zone, api)
        for change in plan.changes:
            now = rrsets.get(change.key)
            if (now.rrset if now else None) != change.old:
                raise changed(plan.zone, " ".join(change.key))
        for batch in batches((*plan.changes, *claims(plan, rrsets))):
            self._send(batch, api, rrsets, plan)

    def _send(self, batch: tuple[Change, ...], api: ApiZone, rrsets: ApiRRsets, plan: Plan) -> None:
        sender = Sender(self._connection, api, partial(self._api.rrset, plan.zone, api))
        problem: MailfleetError | None = None
        try:
            for change in batch:
                now = rrsets.get(change.key)
                for write in writes(plan.zone, change, now, plan.owned_after, self._mark):
                    sender.send(write)
        except MailfleetError as error:
            problem = error
        sender.actions.finish(problem)
