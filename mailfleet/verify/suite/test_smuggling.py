"""SMTP smuggling: one mail stays one, and commands wait for their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import smtp

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_ends(machine: Machine) -> None:
    """inbound takes nothing but CRLF.CRLF for the end of a message"""
    looks = [look for look in machine.from_outside if look.port.kind == "inbound"]
    machine.check(smtp.unseen(looks) + smtp.smuggling_problems(looks))


def test_turns(machine: Machine) -> None:
    """no port takes commands before it is their turn"""
    looks = machine.from_outside
    machine.check(smtp.unseen(looks) + smtp.turn_problems(looks))
