"""What port 25 takes, and where it has room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import authentication, inbound, smtp
from roles.postfix import INBOUND_FREE

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_recipients(machine: Machine) -> None:
    """postmaster and abuse of every name are taken, the system's own users are not"""
    looks = machine.recipients
    wanted = inbound.taken(machine.fleet, machine.host)
    machine.check(smtp.unseen(looks) + inbound.recipient_problems(looks, wanted))


def test_results(machine: Machine) -> None:
    """inbound mail gets the host's own results of SPF, DKIM and DMARC"""
    if machine.host.inbound:
        machine.check(authentication.problems(machine.reading.texts["results"], machine.name))


def test_room(machine: Machine) -> None:
    """there is room for inbound mail: in the maildirs, which Postfix can write, and on their disk"""
    if machine.host.inbound:
        machine.check(inbound.room_problems(machine.reading.texts["room"], INBOUND_FREE))
