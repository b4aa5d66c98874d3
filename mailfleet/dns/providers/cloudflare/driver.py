"""The Cloudflare driver: a zone is read by listing its records and changed by one batch."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping

import cloudflare

from mailfleet.apis.retry import Outcome, Retry
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Provider, Refusal, Snapshot
from mailfleet.dns.providers.cloudflare.api import ENDPOINT, Calls, ZoneInfo, open_client
from mailfleet.dns.providers.cloudflare.audit import problems_with
from mailfleet.dns.providers.cloudflare.batches import Batch, batches
from mailfleet.dns.providers.cloudflare.errors import (
    PURPOSE,
    SECRET,
    changed_meanwhile,
    failure,
    outcome_of,
    retry_after,
)
from mailfleet.dns.providers.cloudflare.records import Rules, ZoneRecords, record_of
from mailfleet.dns.providers.cloudflare.zones import Zones, problems_of
from mailfleet.errors import MailfleetError, RefusedError
from mailfleet.model import Address, CloudflareSettings, Fleet
from mailfleet.project.environment import environment_of
from mailfleet.secrets import Secret, variable

_TIMEOUT = 60.0
# An endpoint of one's own, for tests and proxies.
_ENDPOINT_VARIABLE = "MAILFLEET_CLOUDFLARE_ENDPOINT"


def open_provider(settings: CloudflareSettings, fleet: Fleet) -> Provider:
    """The driver for a fleet; looks the API token up."""

    def ttl(name: str) -> int:
        domain = fleet.domain_of(name)
        return domain.ttl if domain else 3600

    return Provider(
        Cloudflare(
            environment_of(fleet).secret(SECRET, PURPOSE),
            Rules(fleet.name, fleet.proxied, ttl),
            expected=len({d.zone for d in fleet.domains if d.dns == settings}),
            endpoint=os.environ.get(_ENDPOINT_VARIABLE) or ENDPOINT,
        )
    )


def secrets_of(settings: CloudflareSettings) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """The API token."""
    return ((variable(SECRET), PURPOSE),)


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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`expected` is how many zones will be read, `endpoint` the API's base URL."""
        self._rules = rules
        client = open_client(token, endpoint, timeout)
        # Its connections stay open between requests; nobody tells a driver that it is done.
        weakref.finalize(self, client.close)
        self._calls = Calls(client, sleep)
        self._zones = Zones(self._calls, expected)

    def read(self, zone: str) -> Snapshot[ZoneRecords]:
        """The zone by one request per 5,000 records."""
        return self._list(self._zones.get(zone)).snapshot()

    def audit(self, plan: Plan, snapshot: Snapshot[ZoneRecords]) -> tuple[Refusal, ...]:
        """What keeps the zone or the token from being written, and values that it would refuse."""
        writable = () if plan.is_empty else problems_of(self._zones.get(plan.zone))
        return (*map(Refusal, writable), *problems_with(plan, snapshot.content))

    def apply(self, plan: Plan, snapshot: Snapshot[ZoneRecords]) -> None:
        """One batch per 200 records, each all or nothing."""
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

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The account's own zones below in-addr.arpa and ip6.arpa, or of RFC 2317."""
        zones = {address: self._zones.enclosing(name) for address, name in reverse_names.items()}
        return {address: zone for address, zone in zones.items() if zone is not None}

    def _list(self, zone: ZoneInfo) -> ZoneRecords:
        return ZoneRecords(zone.name, map(record_of, self._calls.records(zone)), self._rules)

    def _carry_out(self, zone: ZoneInfo, batch: Batch, before: ZoneRecords) -> None:
        retry = Retry(self._calls.sleep, f"change the zone {zone.name}")
        while True:
            try:
                return self._calls.batch(zone, batch)
            except (cloudflare.CloudflareError, ValueError) as error:
                outcome, pause = outcome_of(error), retry_after(error)
                problem = failure(error, f"change the zone {zone.name}")
                may_not = isinstance(
                    error, cloudflare.AuthenticationError | cloudflare.PermissionDeniedError
                )
            if may_not:
                raise problem
            if outcome is not Outcome.LIMITED and self._is_done(zone, batch, before):
                return None
            if outcome is Outcome.REFUSED:
                # A batch is all or nothing, whichever of its records the API does not take.
                raise RefusedError(problem.problem, problem.hint)
            if not retry.again(outcome, pause):
                raise problem

    def _is_done(self, zone: ZoneInfo, batch: Batch, before: ZoneRecords) -> bool:
        """Whether a batch that failed was carried out all the same.

        After an error of the server's, or no answer, it may have been; a second attempt may then find
        its own records (81058), or miss deleted ones. MailfleetError where somebody else has changed
        what the batch changes.
        """
        now = self._list(zone)
        if batch.is_done(now):
            return True
        if not before.same_at(batch.names, now):
            raise changed_meanwhile(zone.name)
        return False
