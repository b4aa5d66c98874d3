"""Debian packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host.plan.packages import plan_packages

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_installed(machine: Machine) -> None:
    """every planned package is installed"""
    plan = plan_packages(machine.expected.state.packages, machine.reading.packages)
    machine.check([f"package {name} is not installed" for name in plan.install])


def test_complete(machine: Machine) -> None:
    """no installation was cut off"""
    broken = machine.reading.packages.interrupted
    text = "dpkg has half-done work, or services are kept from starting by /usr/sbin/policy-rc.d"
    machine.check([text] if broken else [])
