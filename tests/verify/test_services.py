"""systemd's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_enabled(machine: Machine) -> None:
    """every planned unit starts at boot"""
    enabled = machine.reading.services.enabled
    units = [s.unit for s in machine.expected.state.services if s.unit not in enabled]
    machine.check([f"{unit} is not enabled, expected it to start at boot" for unit in units])


def test_masked(machine: Machine) -> None:
    """no unit runs that a package brings and that this host does not need"""
    masked = machine.reading.services.masked
    units = [unit for unit in machine.expected.state.masked if unit not in masked]
    machine.check(
        [f"{unit} is not masked, so an update may start it; deploy again" for unit in units]
    )


def test_running(machine: Machine) -> None:
    """every planned unit runs"""
    active = machine.reading.services.active
    wanted = [s.unit for s in machine.expected.state.services if s.runs]
    machine.check([f"{unit} is not running" for unit in wanted if unit not in active])


def test_failed(machine: Machine) -> None:
    """no unit has failed"""
    lines = machine.reading.texts["failed units"].splitlines()
    machine.check([f"{line.split()[0]} has failed" for line in lines if line.strip()])


def test_told(machine: Machine) -> None:
    """every service has been told of its changed files"""
    pending = sorted(machine.reading.services.pending)
    machine.check(
        [f"{name} still has to learn of a changed file; deploy again" for name in pending]
    )
