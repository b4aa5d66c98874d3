"""Listening sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import local_sockets, sockets

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_as_planned(machine: Machine) -> None:
    """exactly the planned sockets listen"""
    listeners, ss = machine.expected.state.listeners, machine.reading.texts["sockets"]
    machine.check(sockets.problems(listeners, machine.host.all_addresses, ss))


def test_local(machine: Machine) -> None:
    """no socket of a service is open to every user of the host"""
    machine.check(local_sockets.problems(machine.reading.texts["local sockets"]))
