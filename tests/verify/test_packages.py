"""Debian packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_installed(machine: Machine) -> None:
    """every planned package is installed"""
    installed = machine.reading.packages.installed
    missing = [name for name in machine.expected.state.packages if name not in installed]
    machine.check([f"package {name} is not installed" for name in missing])


def test_complete(machine: Machine) -> None:
    """no installation was cut off"""
    broken = machine.reading.packages.interrupted
    text = "dpkg has half-done work, or services are kept from starting by /usr/sbin/policy-rc.d"
    machine.check([text] if broken else [])
