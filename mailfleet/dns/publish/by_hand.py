"""Zones that somebody keeps by hand: which records are still to be entered there.

There is no provider to ask or to change, so what the zone's own name servers answer decides. They know
no owner: records that the fleet no longer needs are not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import dns.resolver
from dns.exception import DNSException

from mailfleet.dns.plan.compare import difference
from mailfleet.dns.plan.zone import Plan, plan
from mailfleet.dns.providers.base import Refusal, Snapshot
from mailfleet.dns.publish.plan import ZonePlan
from mailfleet.dns.query.authoritative import Authority, ask, authorities
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.rrset import RRset
from mailfleet.errors import MailfleetError

# One server may be asked for thousands of records; it is not to take us for a flood.
_THREADS = 16

Answers = Callable[[str, Sequence[RRset]], tuple[RRset, ...]]
"""What the name servers of a zone answer for the names and types of the given records.

MailfleetError where they cannot be asked, which says nothing about the records.
"""


class ByHand:
    """The place of a driver: it reads one zone, of which it wants `wanted`, and writes nothing."""

    label = "by hand"

    def __init__(self, wanted: Sequence[RRset], answers: Answers) -> None:
        self._wanted = wanted
        self._answers = answers

    def read(self, zone: str) -> Snapshot[None]:
        """What the zone's name servers answer for the wanted names, all of it nobody's."""
        return Snapshot(zone, self._answers(zone, self._wanted), content=None)

    def audit(self, plan: Plan, snapshot: Snapshot[None]) -> tuple[Refusal, ...]:  # noqa: ARG002
        return ()  # nobody here would refuse

    def apply(self, plan: Plan, snapshot: Snapshot[None]) -> None:  # noqa: ARG002
        raise MailfleetError(f"{plan.zone} is kept by hand", "enter the records there")


def planned(zone: str, wanted: Sequence[RRset], answers: Answers) -> ZonePlan:
    """What is to be entered in a zone; everything, where its name servers cannot be asked."""
    driver = ByHand(wanted, answers)
    unknown = ""
    try:
        snapshot = driver.read(zone)
    except MailfleetError as error:
        snapshot, unknown = Snapshot(zone, (), content=None), str(error)
    # Whoever keeps the zone decides about what stands in the way, and is shown it.
    in_the_way = [
        f"{conflict.name}/{conflict.type}" for conflict in plan(snapshot, wanted).conflicts
    ]
    complete = plan(snapshot, wanted, adopt=in_the_way)
    keys = frozenset(record.key for record in wanted)
    return ZonePlan(driver, complete, snapshot, wanted=keys, by_hand=True, unknown=unknown)


def nobody_asked(zone: str, wanted: Sequence[RRset]) -> tuple[RRset, ...]:  # noqa: ARG001
    """The `Answers` of whoever has no resolver."""
    raise MailfleetError("its name servers were not asked")


def answers_of(resolver: Resolver) -> Answers:
    """The `Answers` of the name servers that `resolver` finds."""

    def answers(zone: str, wanted: Sequence[RRset]) -> tuple[RRset, ...]:
        servers, problems = authorities(zone, resolver.dnspython)
        if not servers:
            raise MailfleetError("; ".join(f"{text}; {remedy}" for text, remedy in problems))
        with ThreadPoolExecutor(_THREADS) as pool:
            records = pool.map(
                lambda record: _answered(servers, record, resolver.dnspython), wanted
            )
            return tuple(record for record in records if record.values)

    return answers


def _answered(
    servers: Sequence[Authority], record: RRset, resolver: dns.resolver.Resolver
) -> RRset:
    """The values at the first server whose answer differs from the record, else at any.

    TTLs are left to whoever keeps the zone.
    """
    answers, silent = [], ""
    for server in servers:
        try:
            answers.append(ask(server, record.name, record.type, resolver))
        except (DNSException, OSError) as error:
            silent = f"{server} does not answer for {record.name} {record.type}: {error}"
    if not answers:
        raise MailfleetError(silent, "see whether the server is reachable from here")
    values = next((answer for answer in answers if difference(record, answer)), answers[0])
    return RRset(*record.key, record.ttl, tuple(sorted(set(values))))
