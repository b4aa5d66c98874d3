"""Listening sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import sockets

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_as_planned(machine: Machine) -> None:
    """exactly the planned sockets listen"""
    listeners, ss = machine.expected.state.listeners, machine.reading.texts["sockets"]
    machine.check(sockets.problems(listeners, machine.host.all_addresses, ss))
