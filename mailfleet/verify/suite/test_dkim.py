"""Signing: OpenDKIM's configuration, the keys, and what DNS publishes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.dns.records.dkim import DkimPublicKey
from mailfleet.verify import dns

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_configuration(machine: Machine) -> None:
    """opendkim -n has nothing to say against its configuration"""
    output = machine.reading.texts["opendkim"].strip()
    machine.check([f"opendkim -n: {line}" for line in output.splitlines()])


def test_keys(machine: Machine) -> None:
    """the host has every key that it shall sign with, in the right size"""
    have = {(key["domain"], key["selector"]): key for key in machine.reading.keys}
    problems = []
    for wanted in machine.expected.state.keys:
        key = have.get((wanted.domain, wanted.selector))
        name = f"the DKIM key {wanted.selector} for {wanted.domain}"
        if key is None or not key["p"]:
            problems.append(f"{name} is {'unreadable' if key else 'missing'}")
        elif (key["bits"] or 0) < wanted.bits:
            problems.append(f"{name} has {key['bits']} bits, expected {wanted.bits}")
        elif not key["signing"]:
            problems.append(f"{name} is not used: OpenDKIM's key table lacks it; deploy again")
    machine.check(problems)


def test_published(machine: Machine) -> None:
    """every authoritative server publishes the public half of the host's keys"""
    wanted = {(key.domain, key.selector) for key in machine.expected.state.keys}
    keys = [
        DkimPublicKey(key["domain"], key["selector"], key["p"])
        for key in machine.reading.keys
        if key["p"] and (key["domain"], key["selector"]) in wanted
    ]
    machine.check(dns.key_problems(machine.run.names, keys))
