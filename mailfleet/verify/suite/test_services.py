"""systemd's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import services

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_enabled(machine: Machine) -> None:
    """every planned unit starts at boot"""
    machine.check(services.enabled_problems(machine.services_plan))


def test_masked(machine: Machine) -> None:
    """no unit runs that a package brings and that this host does not need"""
    machine.check(services.masked_problems(machine.services_plan))


def test_running(machine: Machine) -> None:
    """every planned unit runs"""
    machine.check(services.running_problems(machine.services_plan, machine.reading.services))


def test_failed(machine: Machine) -> None:
    """no unit has failed"""
    lines = machine.reading.texts["failed units"].splitlines()
    machine.check([f"{line.split()[0]} has failed" for line in lines if line.strip()])


def test_reloaded(machine: Machine) -> None:
    """every service has learnt of its changed files"""
    machine.check(services.reload_problems(machine.services_plan, machine.reading.services))


def test_code(machine: Machine) -> None:
    """every program of mailfleet runs the code that is on the host"""
    machine.check(services.code_problems(machine.expected.state, machine.reading.services))


def test_leftover(machine: Machine) -> None:
    """no unit of an earlier deploy is left"""
    machine.check(services.leftover_problems(machine.services_plan))
