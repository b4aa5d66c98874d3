"""Kernel settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host.paths import SYSCTL
from mailfleet.verify import kernel

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_settings(machine: Machine) -> None:
    """the kernel has the planned settings"""
    planned = machine.expected.content(SYSCTL)
    machine.check(kernel.problems(planned, machine.reading.texts["sysctl"]))
