"""TLS on every SMTP port."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from mailfleet.facts.tls import order_state
from mailfleet.host import certificates
from mailfleet.verify import chains, smtp

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_versions(machine: Machine) -> None:
    """every port speaks TLS 1.2 or newer with the planned suites only, and takes no login outside of it"""
    looks = machine.from_outside
    machine.check(smtp.unseen(looks) + smtp.tls_problems(looks))


def test_certificates(machine: Machine) -> None:
    """every installed certificate covers the host's names and is in time; ports serve them, trusted"""
    fleet, host, now = machine.fleet, machine.host, dt.datetime.now(dt.UTC)
    looks = machine.from_outside
    installed = machine.reading.tls.chains
    kinds = ("ECDSA", "RSA") if certificates.needs_rsa(fleet, host) else ("ECDSA",)
    names = certificates.names(fleet, host)
    machine.check(
        chains.installed_problems(installed, kinds, names, now)
        + smtp.unseen(looks)
        + chains.served_problems(looks, installed, now)
    )


def test_orders(machine: Machine) -> None:
    """the last attempt to get or renew the certificate was a success"""
    state = order_state(machine.reading.texts["certificate orders"])
    machine.check(smtp.order_problems(state))


def test_outbound_policies(machine: Machine) -> None:
    """Postfix can ask for the TLS policies of receivers (MTA-STS)"""
    output = machine.reading.texts["tls policies"].strip()
    machine.check([f"no TLS policy can be asked for: {line}" for line in output.splitlines()])
