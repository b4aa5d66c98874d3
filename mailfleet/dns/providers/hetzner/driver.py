"""The Hetzner driver: a zone is read by pages of 100 RRsets and changed RRset by RRset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial

from hcloud.zones import Zone as ApiZone

from mailfleet.apis.hetzner.client import ENDPOINT, Connection, may_write
from mailfleet.apis.hetzner.errors import PERMISSION, read_only
from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.hetzner.api import ZoneApi
from mailfleet.dns.providers.hetzner.audit import refusals
from mailfleet.dns.providers.hetzner.batches import batches
from mailfleet.dns.providers.hetzner.convert import Content, Mark
from mailfleet.dns.providers.hetzner.errors import changed
from mailfleet.dns.providers.hetzner.ptr import PTR_RECORDS, PtrRecords
from mailfleet.dns.providers.hetzner.sending import Sender
from mailfleet.dns.providers.hetzner.writes import claims, writes
from mailfleet.dns.records.desired import reverse_name, reverse_records
from mailfleet.dns.rrset import RRset
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.secrets import secret

_ENDPOINT = "MAILFLEET_HETZNER_ENDPOINT"


def open_hetzner(settings: ProviderSettings, fleet: Fleet) -> Hetzner:
    """The driver of the token's project for a fleet; looks the token up.

    MAILFLEET_HETZNER_ENDPOINT names another address of the API, for tests and proxies.
    """
    del settings
    token = secret("hetzner", PERMISSION, lab=fleet.lab)
    connection = Connection(token, os.environ.get(_ENDPOINT) or ENDPOINT)
    return Hetzner(
        connection,
        fleet.name,
        cache(lambda: reverse_records(fleet)),
        lambda name: fleet.domain_of(name) is not None,
    )


class Hetzner:
    """A Hetzner project; see `mailfleet.dns.providers.base.Driver`.

    `ptr_records` are the PTR records that the fleet wants; `ours` tells whether a name lies in one of
    its domains.
    """

    label = "hetzner"

    def __init__(
        self,
        connection: Connection,
        fleet: str,
        ptr_records: Callable[[], Mapping[Address, RRset]] = dict,
        ours: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._connection = connection
        self._api = ZoneApi(connection)
        self._mark = Mark(fleet)
        self._ptr_records = PtrRecords(connection, ptr_records, ours)
        self._zones: dict[str, tuple[ApiZone, Content]] = {}
        self._writable: bool | None = None

    def read(self, zone: str) -> Zone:
        """The zone's RRsets, 100 in a request."""
        if zone == PTR_RECORDS:
            return self._ptr_records.read()
        api = self._api.zone(zone)
        content = self._api.content(zone, api)
        self._zones[zone] = api, content
        found = tuple(content[key].rrset for key in sorted(content))
        return Zone(zone, found, self._mark.owned(content.values()))

    def audit(self, plan: Plan) -> tuple[Refusal, ...]:
        """What the API does not take, protected RRsets, and a token that may only read."""
        problems: list[Refusal] = []
        if plan.zone == PTR_RECORDS:
            problems += self._ptr_records.audit(plan)
        elif plan.zone in self._zones:
            problems += refusals(plan, self._zones[plan.zone][1], self._mark)
        if not plan.is_empty:
            # Asked once: all zones are reached with one token.
            if self._writable is None:
                self._writable = may_write(self._connection)
            problems += [] if self._writable else [Refusal(read_only())]
        return tuple(problems)

    def apply(self, plan: Plan) -> None:
        """Phase by phase; nothing is sent if an RRset of the plan is not as it was planned for."""
        if plan.zone == PTR_RECORDS:
            self._ptr_records.apply(plan)
            return
        known = self._zones.pop(plan.zone, None)
        api = known[0] if known else self._api.zone(plan.zone)
        # Minutes may have passed since the plan was made.
        content = self._api.content(plan.zone, api)
        for change in plan.changes:
            now = content.get(change.key)
            if (now.rrset if now else None) != change.old:
                raise changed(plan.zone, " ".join(change.key))
        for batch in batches((*plan.changes, *claims(plan, content))):
            self._send(batch, api, content, plan)

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The made-up zone of all PTR records for the addresses that the project holds."""
        # An alias leads away from Hetzner's own names (RFC 2317).
        own = (address for address, name in reverse_names.items() if name == reverse_name(address))
        return {address: PTR_RECORDS for address in own if self._ptr_records.holds(address)}

    def _send(self, batch: tuple[Change, ...], api: ApiZone, content: Content, plan: Plan) -> None:
        sender = Sender(self._connection, api, partial(self._api.rrset, plan.zone, api))
        problem: MailfleetError | None = None
        try:
            for change in batch:
                now = content.get(change.key)
                for write in writes(plan.zone, change, now, plan.owned_after, self._mark):
                    sender.send(write)
        except MailfleetError as error:
            problem = error
        sender.actions.finish(problem)
