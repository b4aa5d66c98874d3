"""Scanners are asked the way Postfix asks them, which `postfix.main_cf` sees that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import scanner, signatures
from roles.filtering import FRESHCLAM

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_viruses(machine: Machine) -> None:
    """EICAR is refused wherever mail is scanned, and clean mail is not"""
    machine.check(scanner.virus_problems(machine.scanned))


def test_spam(machine: Machine) -> None:
    """GTUBE is refused on submission and marked on inbound"""
    machine.check(scanner.spam_problems(machine.scanned))


def test_signatures(machine: Machine) -> None:
    """virus signatures are a week old at most, where they come from ClamAV's mirrors"""
    # A lab has one of its own, and some hosts scan nothing.
    if FRESHCLAM in {service.unit for service in machine.expected.state.services}:
        machine.check(signatures.problems(machine.reading.texts["signatures"]))


def test_limits(machine: Machine) -> None:
    """what cannot be scanned to its end is refused on submission and marked on inbound"""
    machine.check(scanner.limit_problems(machine.scanned))
