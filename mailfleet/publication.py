"""What one push would do: a plan for each zone, and what stops which of them."""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.errors import MailfleetError
from mailfleet.providers.base import Driver
from mailfleet.records import Plan
from mailfleet.records.render import summary


@dataclass(frozen=True)
class ZonePlan:
    """What to do to one zone, and through which driver."""

    driver: Driver
    plan: Plan
    problems: tuple[str, ...] = ()
    """Why the zone must not be written; empty where it may."""
    needs: frozenset[str] = frozenset()
    """The zones that must be as planned first, since records here point there."""

    @property
    def title(self) -> str:
        return f"{self.plan.zone} at {self.driver.label}: {summary(self.plan)}"


@dataclass(frozen=True)
class UnreadZone:
    """A zone that could not be read: it is missing, paused, or its provider refuses us."""

    zone: str
    label: str
    problem: str


@dataclass(frozen=True)
class Publication:
    """Everything that one push would do."""

    zones: tuple[ZonePlan, ...]
    notes: tuple[str, ...] = ()
    """What the user should know although it stops nothing."""
    unread: tuple[UnreadZone, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why some zones must not be pushed; empty where all may."""
        stopped = [f"{e.plan.zone}: {text}" for e in self.zones for text in e.problems]
        return (*stopped, *(f"{one.zone}: {one.problem}" for one in self.unread))

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs in the zones that could be read."""
        return all(entry.plan.is_empty for entry in self.zones)

    @property
    def is_stopped(self) -> bool:
        """Whether there are problems, and no zone that could be written all the same."""
        ready = any(not entry.plan.is_empty and not entry.problems for entry in self.zones)
        return bool(self.problems) and not ready

    def refuse(self) -> None:
        """Raise MailfleetError with all problems where nothing can be published."""
        if self.is_stopped:
            text = "\n".join(f"- {problem}" for problem in self.problems)
            raise MailfleetError(f"nothing was published:\n{text}")
