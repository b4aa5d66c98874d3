"""SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host.paths import SSHD_DROP_IN
from mailfleet.verify import ssh

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_settings(machine: Machine) -> None:
    """sshd takes keys only, and has the other planned settings"""
    planned = machine.expected.content(SSHD_DROP_IN)
    machine.check(ssh.problems(planned, machine.reading.texts["sshd"]))
