"""fail2ban."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import jails

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_jails(machine: Machine) -> None:
    """every planned jail is active, and reads the planned logs"""
    machine.check(jails.problems(machine.expected.jails, machine.reading.texts["jails"]))
