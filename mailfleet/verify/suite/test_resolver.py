"""The host's own resolver, which everything else on it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import resolver

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_answers(machine: Machine) -> None:
    """the host's resolver answers, looks names up and validates"""
    machine.check(resolver.problems(machine.reading.texts["resolver"]))
