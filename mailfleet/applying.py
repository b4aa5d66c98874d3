"""Carrying a publication out, zone by zone, and seeing whether it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mailfleet.errors import MailfleetError
from mailfleet.publication import Publication, ZonePlan
from mailfleet.records import Change
from mailfleet.records.compare import outstanding

State = Literal["unchanged", "done", "stopped", "waiting", "failed"]

# A provider may show a change some seconds after it has confirmed it.
_PAUSES = (1.0, 4.0)


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
        if self.state == "done":
            return f"{self.zone}: done and read back, {count} record sets changed"
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

    A zone with a problem is left as it is before its first write, and so is a reverse zone whose
    names lie in such a zone. MailfleetError, with all problems, where nothing can be written.
    """
    publication.refuse()
    outcome: list[ZoneOutcome] = [
        ZoneOutcome(one.zone, one.label, "stopped", one.problem) for one in publication.unread
    ]
    unready = {one.zone for one in outcome}
    for entry in publication.zones:
        made = _zone(entry, unready, pause)
        if made.state in ("stopped", "waiting", "failed"):
            unready.add(made.zone)
        if made.state != "unchanged":
            report(made.text)
        outcome.append(made)
    if unready:
        raise PublishError(tuple(outcome))
    return tuple(outcome)


def _zone(entry: ZonePlan, unready: set[str], pause: Callable[[float], None]) -> ZoneOutcome:
    zone, label = entry.plan.zone, entry.driver.label
    missing = entry.plan.changes
    if entry.problems:
        problem = "\n  ".join(("left as it is", *entry.problems))
        return ZoneOutcome(zone, label, "stopped", problem, missing=missing)
    if entry.plan.is_empty:
        return ZoneOutcome(zone, label, "unchanged")
    if waited := sorted(entry.needs & unready):
        problem = f"left as it is: its names lie in {', '.join(waited)}, which is not as planned"
        return ZoneOutcome(zone, label, "waiting", problem, missing=missing)
    try:
        entry.driver.apply(entry.plan)
    except MailfleetError as error:
        return _judged(entry, _read_back(entry), str(error))
    left = _read_back(entry)
    for seconds in _PAUSES:
        if not left:
            break
        pause(seconds)
        left = _read_back(entry)
    return _judged(entry, left, "")


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
    return ZoneOutcome(zone, label, "done", "", applied)


def _named(change: Change) -> str:
    name, rtype = change.key
    return f"{change.kind} {name} {rtype}"
