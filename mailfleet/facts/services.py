"""State of all units of a host, and what still has to learn of a changed file."""

from __future__ import annotations

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.facts.files import STATE
from mailfleet.host.observed import ServicesState

PENDING = f"{STATE}/pending"
MANAGED = f"{STATE}/services"


class Services(FactBase[ServicesState]):
    """State of the named units."""

    def command(self, units: tuple[str, ...]) -> StringCommand:
        quoted = [QuoteString(unit) for unit in units]
        return StringCommand(
            "systemctl", "show", "--property=Id,UnitFileState,ActiveState,SubState", "--", *quoted, ";",
            "ls", PENDING, "2>/dev/null", "|", "sed", QuoteString("s/^/pending=/"), ";",
            "sed", QuoteString("s/^/managed=/"), MANAGED, "2>/dev/null; true",
        )  # fmt: skip

    @staticmethod
    def default() -> ServicesState:
        return ServicesState()

    def process(self, output: list[str]) -> ServicesState:
        names_by_state: dict[str, set[str]] = {
            "enabled": set(),
            "active": set(),
            "waiting": set(),
            "masked": set(),
            "pending": set(),
            "managed": set(),
        }
        unit: dict[str, str] = {}
        for line in [*output, ""]:
            key, _, value = line.partition("=")
            if key in ("pending", "managed"):
                names_by_state[key].add(value)
            elif value:
                unit[key] = value
            if not line or len(unit) == 4:
                if unit.get("UnitFileState", "").startswith("enabled"):
                    names_by_state["enabled"].add(unit.get("Id", ""))
                if unit.get("UnitFileState") == "masked":
                    names_by_state["masked"].add(unit.get("Id", ""))
                # "activating" as well.
                if unit.get("SubState") == "auto-restart":
                    names_by_state["waiting"].add(unit.get("Id", ""))
                elif unit.get("ActiveState") in ("active", "activating", "reloading"):
                    names_by_state["active"].add(unit.get("Id", ""))
                unit = {}
        return ServicesState(**{key: frozenset(names) for key, names in names_by_state.items()})
