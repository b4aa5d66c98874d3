"""What services are kept from doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host.sandbox import limit
from mailfleet.verify import sandbox

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_scores(machine: Machine) -> None:
    """systemd scores every confined unit's configuration as its sandbox deserves, or better"""
    output = machine.reading.texts["scores"]
    limits = {unit: limit(unit) for unit in machine.expected.confined}
    machine.check(sandbox.score_problems(limits, output))


def test_processes(machine: Machine) -> None:
    """no running process of a confined unit can gain privileges, as one older than its sandbox can"""
    output = machine.reading.texts["processes"]
    machine.check(sandbox.process_problems(machine.expected.confined, output))
