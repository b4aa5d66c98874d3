"""Carrying a publication out, zone by zone, and seeing whether it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mailfleet.apis.retry import until_shown
from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.compare import outstanding
from mailfleet.dns.plan.needs import Key, Needs
from mailfleet.dns.publish.parts import apply_in_parts
from mailfleet.dns.publish.plan import Publication, ZonePlan, relying
from mailfleet.errors import MailfleetError, RefusedError

State = Literal["unchanged", "done", "by hand", "partial", "stopped", "failed"]


@dataclass(frozen=True)
class ZoneOutcome:
    """What became of one zone."""

    zone: str
    label: str
    state: State
    problem: str = ""
    applied: tuple[Change, ...] = ()
    missing: tuple[Change, ...] | None = ()
    """Planned changes that the zone does not show; None where it could not be read again."""

    @property
    def text(self) -> str:
        """One line, and one for each change that is missing."""
        count = len(self.applied)
        if self.state == "unchanged":
            return f"{self.zone}: no changes"
        done = f"{self.zone}: done and read back, {count} record sets changed"
        if self.state == "done":
            return done
        if self.state == "partial":
            return f"{done if count else f'{self.zone}: no changes'}, not all could be\n  {self.problem}"
        lines = [f"{self.zone}: {self.problem}"]
        if self.state == "failed" and self.missing is None:
            lines.append("  which changes were made is not known: the zone could not be read again")
        elif self.state == "failed":
            lines += [f"  applied: {_named(change)}" for change in self.applied]
            lines += [f"  not applied: {_named(change)}" for change in self.missing or ()]
        return "\n".join(lines)


class PublishError(MailfleetError):
    """Not everything could be published; `outcome` tells what was and what was not."""

    def __init__(self, outcome: tuple[ZoneOutcome, ...]) -> None:
        self.outcome = outcome
        text = "\n".join(f"- {zone.text}" for zone in outcome if zone.state != "unchanged")
        super().__init__(
            f"not everything was published:\n{text}",
            "run the same command again once this is solved; it does what is left",
        )


def publish(
    publication: Publication,
    report: Callable[[str], None] = lambda _: None,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[ZoneOutcome, ...]:
    """Carry it out; `report` hears of each zone. PublishError where a zone is not as planned.

    What stands in the way of a record set holds back that one and what needs it, in whatever zone.
    MailfleetError, with all problems, where nothing can be written.
    """
    publication.refuse()
    outcome: list[ZoneOutcome] = [
        ZoneOutcome(unread.zone, unread.label, "stopped", unread.problem)
        for unread in publication.unread
    ]
    unready: set[Key] = set()
    for planned in publication.zones:
        entry = planned.without(relying(publication.needs, unready, publication.unread))
        zone, entry = _zone(entry, pause, publication.needs)
        unready |= entry.unready
        if zone.state == "failed":
            left = zone.missing if zone.missing is not None else entry.plan.changes
            unready |= {change.key for change in left}
        if zone.state != "unchanged":
            report(zone.text)
        outcome.append(zone)
    if any(zone.state not in ("unchanged", "done", "by hand") for zone in outcome):
        raise PublishError(tuple(outcome))
    return tuple(outcome)


def _zone(
    entry: ZonePlan, pause: Callable[[float], None], needs: Needs
) -> tuple[ZoneOutcome, ZonePlan]:
    """What became of a zone, and its plan without what the provider has refused meanwhile."""
    zone, label = entry.plan.zone, entry.driver.label
    if entry.by_hand:
        return _by_hand(entry), entry
    if entry.stops:
        problem = "\n  ".join(("left as it is", *entry.problems))
        return ZoneOutcome(zone, label, "stopped", problem, missing=entry.plan.changes), entry
    problems = "\n  ".join(entry.problems)
    if entry.plan.is_empty:
        return ZoneOutcome(zone, label, "partial" if problems else "unchanged", problems), entry
    try:
        entry = _applied(entry, needs)
    except MailfleetError as error:
        return _judged(entry, _read_back(entry), str(error)), entry
    left = until_shown(lambda: _read_back(entry), lambda changes: not changes, pause)
    return _judged(entry, left, ""), entry


def _applied(entry: ZonePlan, needs: Needs) -> ZonePlan:
    """Carry the plan out; without what the provider refuses, if it refuses the whole."""
    try:
        entry.driver.apply(entry.plan, entry.snapshot)
    except RefusedError:
        left = _read_back(entry)
        if left is None or len(left) < 2:
            raise
        return entry.without(apply_in_parts(entry.driver, entry.plan, left, needs))
    return entry


def _by_hand(entry: ZonePlan) -> ZoneOutcome:
    zone, label, missing = entry.plan.zone, entry.driver.label, entry.plan.changes
    if entry.problems:
        problem = "\n  ".join(("kept by hand, and wrong", *entry.problems))
        return ZoneOutcome(zone, label, "stopped", problem, missing=missing)
    if entry.plan.is_empty:
        return ZoneOutcome(zone, label, "unchanged")
    problem = f"kept by hand: enter the {len(missing)} record sets that the plan lists"
    return ZoneOutcome(zone, label, "by hand", problem, missing=missing)


def _read_back(entry: ZonePlan) -> tuple[Change, ...] | None:
    """The changes that the zone does not show; None where it cannot be read."""
    try:
        return outstanding(entry.plan, entry.driver.read(entry.plan.zone))
    except MailfleetError:
        return None


def _judged(entry: ZonePlan, left: tuple[Change, ...] | None, error: str) -> ZoneOutcome:
    zone, label = entry.plan.zone, entry.driver.label
    if left is None:
        problem = error or f"{label} took the changes, but the zone cannot be read back"
        return ZoneOutcome(zone, label, "failed", problem, missing=None)
    applied = tuple(change for change in entry.plan.changes if change not in left)
    if error or left:
        problem = error or f"{label} confirmed the changes, and {len(left)} are not there"
        return ZoneOutcome(zone, label, "failed", problem, applied, left)
    problems = "\n  ".join(entry.problems)
    return ZoneOutcome(zone, label, "partial" if problems else "done", problems, applied)


def _named(change: Change) -> str:
    name, rtype = change.key
    return f"{change.kind} {name} {rtype}"
