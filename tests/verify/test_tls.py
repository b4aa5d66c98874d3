"""TLS on every SMTP port."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import smtp

if TYPE_CHECKING:
    from tests.verify.conftest import Machine

pytestmark = pytest.mark.verify


def test_versions(machine: Machine) -> None:
    """every port speaks TLS 1.2 or newer, and nothing older"""
    looks = machine.from_outside
    machine.check(smtp.unseen(looks) + smtp.tls_problems(looks))


def test_certificates(machine: Machine) -> None:
    """certificates cover their names, are trusted, in time, and the installed ones"""
    found = smtp.certificate_problems(
        machine.from_outside,
        dt.datetime.now(dt.UTC),
        installed=machine.reading.tls.certificate,
        judged=machine.expected.target.authority is not None,
    )
    machine.check(found)
