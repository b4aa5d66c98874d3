"""The firewall, as ufw tells it and as the kernel does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import firewall

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_ufw_rules(machine: Machine) -> None:
    """ufw has exactly the planned rules"""
    status = machine.reading.texts["ufw"]
    machine.check(firewall.status_problems(machine.expected.state.listeners, status))


def test_kernel_ipv4(machine: Machine) -> None:
    """the kernel lets in exactly what is planned, IPv4"""
    saved = machine.reading.texts["kernel"]
    machine.check(firewall.chain_problems(machine.expected.state.listeners, 4, saved))


def test_kernel_ipv6(machine: Machine) -> None:
    """the kernel lets in exactly what is planned, IPv6"""
    saved = machine.reading.texts["kernel"]
    machine.check(firewall.chain_problems(machine.expected.state.listeners, 6, saved))


def test_kernel_all(machine: Machine) -> None:
    """the kernel has no rule that ufw did not load, and lacks none"""
    texts = machine.reading.texts
    machine.check(
        firewall.kernel_problems(texts["planned kernel"], texts["kernel"])
        + firewall.table_problems(texts["tables"])
    )


def test_framework(machine: Machine) -> None:
    """ufw's own rule files are Debian's"""
    changed = machine.reading.texts["ufw files"].split()
    machine.check([f"{path} is not what the package ufw brings" for path in changed])


def test_egress(machine: Machine) -> None:
    """nobody but Postfix gets out to port 25: root and another user try"""
    machine.check(firewall.egress_problems(machine.host.addresses, machine.reading.texts["egress"]))
