"""Scanners are asked the way Postfix asks them, which `postfix.main_cf` sees that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import scanner

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_viruses(machine: Machine) -> None:
    """EICAR is refused wherever mail is scanned, and clean mail is not"""
    machine.check(scanner.virus_problems(machine.scanned))


def test_spam(machine: Machine) -> None:
    """GTUBE is refused on submission and marked on inbound"""
    machine.check(scanner.spam_problems(machine.scanned))
