"""State of all units of a host, and what still has to learn of a changed file."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.host.observed import ServicesState
from mailfleet.host.paths import STATE

PENDING = f"{STATE}/pending"
MANAGED = f"{STATE}/services"


_PROPERTIES = ("Id", "UnitFileState", "ActiveState", "SubState", "StatusText")


class Services(FactBase[ServicesState]):
    """State of the named units."""

    def command(self, units: tuple[str, ...]) -> StringCommand:
        quoted = [QuoteString(unit) for unit in units]
        return StringCommand(
            "systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *quoted, ";",
            "ls", PENDING, "2>/dev/null", "|", "sed", QuoteString("s/^/pending=/"), ";",
            "sed", QuoteString("s/^/managed=/"), MANAGED, "2>/dev/null; true",
        )  # fmt: skip

    @staticmethod
    def default() -> ServicesState:
        return ServicesState()

    def process(self, output: list[str]) -> ServicesState:
        lists: dict[str, set[str]] = {"pending": set(), "managed": set()}
        units: list[dict[str, str]] = [{}]
        for line in output:
            key, _, value = line.partition("=")
            if key in lists:
                lists[key].add(value)
                continue
            if not line or key in units[-1]:
                units.append({})
            if key in _PROPERTIES:
                units[-1][key] = value
        named = {unit["Id"]: _Unit(unit) for unit in units if unit.get("Id")}
        return ServicesState(
            enabled=frozenset(name for name, unit in named.items() if unit.is_enabled),
            active=frozenset(name for name, unit in named.items() if unit.is_active),
            pending=frozenset(lists["pending"]),
            managed=frozenset(lists["managed"]),
            waiting=frozenset(name for name, unit in named.items() if unit.waits),
            masked=frozenset(name for name, unit in named.items() if unit.is_masked),
            statuses={name: unit.status for name, unit in named.items() if unit.status},
        )


class _Unit:
    """What `systemctl show` prints of one unit."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        file = properties.get("UnitFileState", "")
        self.is_enabled = file.startswith("enabled")
        self.is_masked = file == "masked"
        # "activating" as well.
        self.waits = properties.get("SubState") == "auto-restart"
        self.is_active = not self.waits and properties.get("ActiveState") in (
            "active", "activating", "reloading",
        )  # fmt: skip
        self.status = properties.get("StatusText", "")
