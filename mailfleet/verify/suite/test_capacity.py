"""What a host runs out of, and what it runs on: space and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import capacity

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_space(machine: Machine) -> None:
    """every file system that mail needs has room"""
    machine.check(capacity.space_problems(machine.reading.texts["space"]))


def test_clock(machine: Machine) -> None:
    """the host's clock agrees with this machine's"""
    reading = machine.reading
    machine.check(capacity.clock_problems(reading.texts["clock"], reading.start, reading.end))
