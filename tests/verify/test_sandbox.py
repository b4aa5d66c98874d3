"""What services are kept from doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.sandbox import LIMIT
from mailfleet.verify import sandbox

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_scores(machine: Machine) -> None:
    """systemd scores every confined unit as planned or better"""
    said = machine.reading.texts["scores"]
    machine.check(sandbox.score_problems(machine.expected.confined, said, LIMIT))


def test_processes(machine: Machine) -> None:
    """the running processes are inside of their sandboxes"""
    said = machine.reading.texts["processes"]
    machine.check(sandbox.process_problems(machine.expected.confined, said))
