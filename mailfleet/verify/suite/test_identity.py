"""Who mail is from: each stream's judge is asked the way Postfix asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_judges(machine: Machine) -> None:
    """judges take a stream's own mail, and nothing that is a stranger's, ambiguous or not signed"""
    machine.check(machine.judged)
