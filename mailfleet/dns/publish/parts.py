"""Carrying a plan out in parts, where a provider refuses it as a whole.

Most providers take many changes at once, all or nothing. One that they do not take, be it for a rule
that nobody could know of before, must not keep the others from being made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.needs import Key, Needs
from mailfleet.dns.plan.ownership import Owned
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Driver
from mailfleet.dns.publish.plan import relying
from mailfleet.errors import MailfleetError, RefusedError

# So many refusals without one change that was taken: the provider refuses everything.
_FINAL_REFUSALS = 3

_Unit = tuple[Change, ...]
"""Changes at one name, which belong together: an alias makes room for addresses."""


def apply_in_parts(
    driver: Driver[Any], plan: Plan, left: Sequence[Change], needs: Needs
) -> dict[Key, str]:
    """Make those of the changes that are `left` which the provider takes, in their order.

    The others by name and type with its reason; what relies on one of them waits. MailfleetError
    where it takes none, or stops answering.
    """
    run = _Parts(driver, plan, needs)
    units: dict[str, _Unit] = {}
    for change in left:
        units[change.key[0]] = (*units.get(change.key[0], ()), change)
    run.halves(list(units.values()))
    run.release()
    return run.refused


class _Parts:
    def __init__(self, driver: Driver[Any], plan: Plan, needs: Needs) -> None:
        self._driver = driver
        self._plan = plan
        self._needs = needs
        self._taken = False
        self.refused: dict[Key, str] = {}

    def halves(self, units: list[_Unit]) -> None:
        """Both halves, each as a whole where the provider takes it so."""
        middle = len(units) // 2
        for half in (units[:middle], units[middle:]):
            self._apply(half)

    def release(self) -> None:
        """Bring the list of what is owned to what the plan says of everything that was made."""
        snapshot = self._driver.read(self._plan.zone)
        owned = snapshot.owned
        after = {s: v for s, v in owned.items() if (s.name, s.type) in self.refused}
        after |= {
            s: v for s, v in self._plan.owned_after.items() if (s.name, s.type) not in self.refused
        }
        if after != owned:
            part = replace(self._plan, changes=(), owned_before=owned, owned_after=after)
            self._driver.apply(part, snapshot)

    def _apply(self, units: list[_Unit]) -> None:
        waiting = relying(self._needs, self.refused, ())
        for unit in units:
            if any(change.key in waiting for change in unit):
                keys = [change.key for change in unit]
                self.refused |= {key: waiting.get(key, "its name is left") for key in keys}
        units = [unit for unit in units if unit[0].key not in self.refused]
        if not units:
            return
        try:
            snapshot = self._driver.read(self._plan.zone)
            changes = [change for unit in units for change in unit]
            self._driver.apply(self._part(changes, snapshot.owned), snapshot)
            self._taken = True
        except RefusedError as error:
            if len(units) > 1:
                self.halves(units)
                return
            self.refused |= {change.key: error.problem for change in units[0]}
            if not self._taken and len(self.refused) >= _FINAL_REFUSALS:
                raise MailfleetError(error.problem, error.hint) from None

    def _part(self, changes: Sequence[Change], owned: Owned) -> Plan:
        keys = {change.key for change in changes}
        after = {s: v for s, v in owned.items() if (s.name, s.type) not in keys}
        after |= {s: v for s, v in self._plan.owned_after.items() if (s.name, s.type) in keys}
        return replace(self._plan, changes=tuple(changes), owned_before=owned, owned_after=after)
