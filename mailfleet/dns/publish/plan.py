"""What one push would do: a plan for each zone, and what stops which of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailfleet.dns.plan.needs import Key, Needs, waiting
from mailfleet.dns.plan.render import summary
from mailfleet.dns.plan.zone import Plan, held
from mailfleet.dns.providers.base import Driver, Snapshot
from mailfleet.errors import MailfleetError


@dataclass(frozen=True)
class ZonePlan:
    """What to do to one zone, and through which driver."""

    driver: Driver[Any]
    plan: Plan
    snapshot: Snapshot[Any]
    """What the plan was made from."""
    stops: tuple[str, ...] = ()
    """Why nothing of the zone must be written; empty where it may."""
    wanted: frozenset[Key] = frozenset()
    """All record sets of the fleet in the zone."""
    faults: tuple[str, ...] = ()
    """What is wrong with record sets that are there already."""
    by_hand: bool = False
    """Whether the plan is for somebody to enter; then it is judged by the zone's name servers."""
    unknown: str = ""
    """Why it is not known what the zone holds; the plan then lists all that it should."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why not all of the zone will be as the fleet wants it; empty where all will be."""
        conflicts = (f"conflict: {conflict}" for conflict in self.plan.conflicts)
        left = (f"left as it is: {' '.join(key)}: {why}" for key, why in self.plan.held.items())
        return (*self.stops, *self.faults, *conflicts, *left)

    @property
    def unready(self) -> frozenset[Key]:
        """The record sets that will not be as the fleet wants them."""
        blocked = {(s.name, s.type) for c in self.plan.conflicts for s in c.wanted}
        stays = bool(self.stops) or self.by_hand
        changing = {change.key for change in self.plan.changes} if stays else set()
        return frozenset(blocked | self.plan.held.keys() | changing)

    def without(self, reasons: Mapping[Key, str]) -> ZonePlan:
        """The same without the changes to these record sets; who enters them is told of all."""
        return self if self.by_hand else replace(self, plan=held(self.plan, reasons))

    @property
    def title(self) -> str:
        if not self.by_hand:
            return f"{self.plan.zone} at {self.driver.label}: {summary(self.plan)}"
        if self.unknown:
            count = len(self.plan.changes)
            return f"{self.plan.zone} is kept by hand: its {count} record sets, to enter what is missing"
        if self.plan.is_empty:
            return f"{self.plan.zone} is kept by hand: its name servers answer what they should"
        return f"{self.plan.zone} is kept by hand: {summary(self.plan)}, to be entered there"


@dataclass(frozen=True)
class UnreadZone:
    """A zone that could not be read: it is missing, paused, or its provider refuses us."""

    zone: str
    label: str
    problem: str
    wanted: frozenset[Key] = frozenset()
    """All record sets of the fleet in the zone."""


@dataclass(frozen=True)
class Publication:
    """Everything that one push would do."""

    zones: tuple[ZonePlan, ...]
    notes: tuple[str, ...] = ()
    """What the user should know although it stops nothing."""
    unread: tuple[UnreadZone, ...] = ()
    needs: Needs = field(default_factory=dict)
    """Which record sets, of whatever zone, rely on which others."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why not everything will be as the fleet wants it; empty where it will."""
        stopped = [f"{e.plan.zone}: {text}" for e in self.zones for text in e.problems]
        return (*stopped, *(f"{unread.zone}: {unread.problem}" for unread in self.unread))

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs in the zones that could be read."""
        return all(entry.plan.is_empty for entry in self.zones if not entry.unknown)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The zones kept by hand of which nobody could say what they hold."""
        return tuple(
            f"{e.plan.zone}: not known whether its records are there: {e.unknown}"
            for e in self.zones
            if e.unknown
        )

    @property
    def is_stopped(self) -> bool:
        """Whether there are problems, and nothing that could be written all the same."""
        ready = any(not entry.plan.is_empty and not entry.stops for entry in self.zones)
        return bool(self.problems) and not ready

    def refuse(self) -> None:
        """Raise MailfleetError with all problems where nothing can be published."""
        if self.is_stopped:
            text = "\n".join(f"- {problem}" for problem in self.problems)
            raise MailfleetError(f"nothing was published:\n{text}")


def relying(needs: Needs, unready: Collection[Key], unread: Iterable[UnreadZone]) -> dict[Key, str]:
    """By name and type, why record sets must wait for others that are not as planned.

    For those of zones that could not be read, which may well be there, PTR records wait alone: a
    receiver takes a wrong one for a bad sign, and none for no sign.
    """
    unknown = {key for zone in unread for key in zone.wanted}
    causes = {k: cause for k, cause in waiting(needs, unknown).items() if k[1] == "PTR"}
    causes |= waiting(needs, unready)
    return {
        key: f"waits for {' '.join(cause)}, which is not as planned"
        for key, cause in causes.items()
    }
