"""The Hetzner driver: a zone is read by pages of 100 RRsets and changed RRset by RRset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial

from hcloud import APIException
from hcloud.zones import Zone as ApiZone
from hcloud.zones import ZoneRRSet

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.hetzner.audit import may_write, refusals
from mailfleet.dns.providers.hetzner.batches import batches
from mailfleet.dns.providers.hetzner.connection import ENDPOINT, Connection
from mailfleet.dns.providers.hetzner.convert import Content, Held, Mark, held
from mailfleet.dns.providers.hetzner.errors import (
    PERMISSION,
    changed,
    missing,
    read_only,
    secondary,
)
from mailfleet.dns.providers.hetzner.ptr import PTR_RECORDS, PtrRecords
from mailfleet.dns.providers.hetzner.sending import Sender
from mailfleet.dns.providers.hetzner.writes import claims, writes
from mailfleet.dns.records.desired import reverse_name, reverse_records
from mailfleet.dns.rrset import RRset
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.secrets import secret

_PAGE = 100
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
        self._mark = Mark(fleet)
        self._ptr_records = PtrRecords(connection, ptr_records, ours)
        self._zones: dict[str, tuple[ApiZone, Content]] = {}
        self._writable: bool | None = None

    def read(self, zone: str) -> Zone:
        """The zone's RRsets, 100 in a request."""
        if zone == PTR_RECORDS:
            return self._ptr_records.read()
        api = self._zone(zone)
        content = self._content(zone, api)
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
        api = known[0] if known else self._zone(plan.zone)
        # Minutes may have passed since the plan was made.
        content = self._content(plan.zone, api)
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
        sender = Sender(self._connection, api, partial(self._look, plan.zone, api))
        problem: MailfleetError | None = None
        try:
            for change in batch:
                now = content.get(change.key)
                for write in writes(plan.zone, change, now, plan.owned_after, self._mark):
                    sender.send(write)
        except MailfleetError as error:
            problem = error
        sender.actions.finish(problem)

    def _zone(self, name: str) -> ApiZone:
        client = self._connection.client

        def get() -> ApiZone | None:
            try:
                return client.zones.get(name).data_model
            except APIException as error:
                if error.code == "not_found":
                    return None
                raise

        found = self._connection.ask(f"read {name}", get)
        if found is None:
            raise missing(name)
        if found.mode == ApiZone.MODE_SECONDARY:
            raise secondary(name)
        return found

    def _content(self, zone: str, api: ApiZone) -> Content:
        zones = self._connection.client.zones
        found: dict[tuple[str, str], Held] = {}
        page: int | None = 1
        while page:
            get = partial(zones.get_rrset_list, api, page=page, per_page=_PAGE)
            answer = self._connection.ask(f"read {zone}", get)
            for rrset in answer.rrsets:
                if not _is_maintained(rrset.data_model):
                    entry = held(rrset.data_model, zone, api.ttl or 0)
                    found[entry.rrset.key] = entry
            pagination = answer.meta.pagination
            page = pagination.next_page if pagination else None
        return found

    def _look(self, zone: str, api: ApiZone, name: str, rtype: str) -> Held | None:
        """One RRset as it is now; None where it is not there."""
        client = self._connection.client

        def get() -> ZoneRRSet | None:
            try:
                # The type is a Literal in the SDK.
                return client.zones.get_rrset(api, name, rtype).data_model  # type: ignore[arg-type]
            except APIException as error:
                if error.code == "not_found":
                    return None
                raise

        found = self._connection.ask(f"read {name} {rtype} in {zone}", get)
        return held(found, zone, api.ttl or 0) if found else None


def _is_maintained(rrset: ZoneRRSet) -> bool:
    """Whether Hetzner makes it itself."""
    return rrset.type == "SOA" or (rrset.type == "NS" and rrset.name == "@")
