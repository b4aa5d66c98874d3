"""The web server: challenges of the certificate authority, and MTA-STS policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host import certificates
from mailfleet.verify import web
from roles.web import PROBE

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_challenges(machine: Machine) -> None:
    """every address answers the certificate authority with this host's challenges"""
    expected = machine.expected.content(PROBE)
    machine.check(web.challenge_problems(machine.web_pages.challenges, expected))


def test_policies(machine: Machine) -> None:
    """every MTA-STS policy is served as planned, under a certificate that covers its name"""
    policies = certificates.served_policies(machine.fleet, machine.host)
    machine.check(web.policy_problems(machine.web_pages.policies, policies))


def test_groups(machine: Machine) -> None:
    """port 443 takes the guideline's groups only"""
    machine.check(web.group_problems(machine.web_pages.groups))
