"""The Cloudflare driver: a zone is read by listing its records and changed by one batch."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping

import cloudflare

from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal, Snapshot
from mailfleet.dns.providers.cloudflare.api import ENDPOINT, Calls, Clock, ZoneInfo, open_client
from mailfleet.dns.providers.cloudflare.audit import problems_with
from mailfleet.dns.providers.cloudflare.batches import Batch, batches
from mailfleet.dns.providers.cloudflare.errors import (
    PURPOSE,
    SECRET,
    changed_meanwhile,
    failure,
    is_refusal,
)
from mailfleet.dns.providers.cloudflare.records import Rules, ZoneRecords, record_of
from mailfleet.dns.providers.cloudflare.zones import Zones, problems_of
from mailfleet.errors import MailfleetError, RefusedError
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.secrets import Secret, secret

_TIMEOUT = 60.0
_TRIES = 4
# An endpoint of one's own, for tests and proxies.
_ENDPOINT_VARIABLE = "MAILFLEET_CLOUDFLARE_ENDPOINT"


def open_cloudflare(settings: ProviderSettings, fleet: Fleet) -> Cloudflare:
    """The driver for a fleet; looks the API token up."""

    def ttl(name: str) -> int:
        domain = fleet.domain_of(name)
        return domain.ttl if domain else 3600

    return Cloudflare(
        secret(SECRET, PURPOSE, lab=fleet.lab),
        Rules(fleet.name, fleet.proxied, ttl),
        expected=len({d.zone for d in fleet.domains if d.dns == settings}),
        endpoint=os.environ.get(_ENDPOINT_VARIABLE) or ENDPOINT,
    )


class Cloudflare:
    """The zones that one API token may change; see `mailfleet.dns.providers.base.Driver`."""

    label = "cloudflare"

    def __init__(
        self,
        token: Secret,
        rules: Rules,
        *,
        expected: int = 1,
        endpoint: str = ENDPOINT,
        timeout: float = _TIMEOUT,
        clock: Clock = time,
    ) -> None:
        """`expected` is how many zones will be read, `endpoint` the API's base URL."""
        self._rules = rules
        client = open_client(token, endpoint, timeout)
        # Its connections stay open between requests; nobody tells a driver that it is done.
        weakref.finalize(self, client.close)
        self._calls = Calls(client, clock)
        self._zones = Zones(self._calls, expected)

    def read(self, zone: str) -> Snapshot[ZoneRecords]:
        """The zone by one request per 5,000 records."""
        return self._list(self._zones.get(zone)).snapshot()

    def audit(self, plan: Plan, snapshot: Snapshot[ZoneRecords]) -> tuple[Refusal, ...]:
        """What keeps the zone or the token from being written, and values that it would refuse."""
        writable = () if plan.is_empty else problems_of(self._zones.get(plan.zone))
        return (*map(Refusal, writable), *problems_with(plan, snapshot.content))

    def apply(self, plan: Plan, snapshot: Snapshot[ZoneRecords]) -> None:
        """One batch per 200 records, each all or nothing, then the zone is read back."""
        zone = self._zones.get(plan.zone)
        before = snapshot.content
        todo = batches(plan, before)
        if not todo:
            return
        names = frozenset().union(*(batch.names for batch in todo))
        # There is no compare-and-set: what was read has to be as fresh as can be.
        if not before.same_at(names, self._list(zone)):
            raise changed_meanwhile(plan.zone)
        written, total = 0, sum(map(len, todo))
        for batch in todo:
            try:
                self._carry_out(zone, batch, before)
            except MailfleetError as error:
                if written:
                    problem = f"{error.problem} ({written} of {total} records were written before)"
                    raise type(error)(problem, error.hint) from None
                raise
            written += len(batch)
        self._read_back(zone, todo)

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The account's own zones below in-addr.arpa and ip6.arpa, or of RFC 2317."""
        found = {address: self._zones.enclosing(name) for address, name in reverse_names.items()}
        return {address: zone for address, zone in found.items() if zone is not None}

    def _list(self, zone: ZoneInfo) -> ZoneRecords:
        return ZoneRecords(zone.name, map(record_of, self._calls.records(zone)), self._rules)

    def _carry_out(self, zone: ZoneInfo, batch: Batch, before: ZoneRecords) -> None:
        for attempt in range(_TRIES):
            try:
                return self._calls.batch(zone, batch)
            except (cloudflare.CloudflareError, ValueError) as error:
                told = failure(error, f"change the zone {zone.name}")
                if isinstance(
                    error,
                    cloudflare.RateLimitError
                    | cloudflare.AuthenticationError
                    | cloudflare.PermissionDeniedError,
                ):
                    raise told from None
                final = is_refusal(error)
            # After an error of the server's, or no answer, the change may have been made all the
            # same; a second attempt may then find its own records (81058), or miss deleted ones.
            now = self._list(zone)
            if batch.is_done(now):
                return None
            if not before.same_at(batch.names, now):
                raise changed_meanwhile(zone.name)
            if final:
                # A batch is all or nothing, whichever of its records the API does not take.
                raise RefusedError(told.problem, told.hint)
            if attempt == _TRIES - 1:
                raise told
            self._calls.pause(attempt)
        return None

    def _read_back(self, zone: ZoneInfo, done: list[Batch]) -> None:
        for attempt in range(_TRIES):
            now = self._list(zone)
            if all(batch.is_done(now) for batch in done):
                return
            if attempt < _TRIES - 1:
                self._calls.pause(attempt)
        problem = f"Cloudflare took the changes to {zone.name}, but does not show all of them"
        raise MailfleetError(problem, "somebody else may have changed it: run the command again")
