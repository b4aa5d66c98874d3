"""What a run of pyinfra tells the command line of one host: its plan, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from mailfleet.host.plan.host import HostPlan

PLAN = "mailfleet_plan"
"""The name of pyinfra's data that holds the folder for reports; without it, hosts are deployed."""


@dataclass(frozen=True)
class HostReport:
    """A host's plan, with what else the same questions told."""

    host: str
    plan: HostPlan
    problems: tuple[str, ...] = ()
    """What stands in the way of a deploy."""
    notes: tuple[str, ...] = ()
    """What an operator should know although it stops nothing."""
    public_keys: dict[str, Any] | None = None
    """The value of the fact PublicKeys: what DNS publishes of the host's keys."""


_ADAPTER = TypeAdapter(HostReport)


def dump(report: HostReport) -> bytes:
    """The report as JSON."""
    return _ADAPTER.dump_json(report)


def load(text: bytes) -> HostReport:
    """The report that `dump` has written."""
    return _ADAPTER.validate_json(text)
