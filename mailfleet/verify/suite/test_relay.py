"""No port takes mail for elsewhere from a client without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import smtp

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_from_outside(machine: Machine) -> None:
    """no open relay for the world"""
    looks = machine.from_outside
    machine.check(smtp.unseen(looks) + smtp.relay_problems(looks, "the world"))


def test_from_the_host(machine: Machine) -> None:
    """no open relay for the host itself"""
    looks = machine.from_inside
    machine.check(smtp.unseen(looks) + smtp.relay_problems(looks, "the host itself"))
