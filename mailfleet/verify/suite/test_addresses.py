"""Sending addresses: on the host, in DNS, and in what other mail servers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import smtp

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_configured(machine: Machine) -> None:
    """the host has its name and all its addresses"""
    texts = machine.reading.texts
    have = {line.split()[3].split("/")[0] for line in texts["addresses"].splitlines() if line}
    problems = [
        f"address {address} is on no interface"
        for address in machine.host.all_addresses
        if str(address) not in have
    ]
    if (name := texts["hostname"].strip()) != machine.name:
        problems.append(f"the host calls itself {name}, expected {machine.name}")
    machine.check(problems)


def test_reverse_dns(machine: Machine) -> None:
    """every address has a PTR record to its name, and the name leads back to it"""
    machine.check(machine.run.address_problems[machine.name])


def test_helo(machine: Machine) -> None:
    """every instance says its address's own name, and sends from that address"""
    problems = []
    for sending in machine.host.sending:
        # One line for each parameter: an empty one too, for a family that the stream has no address of.
        names = machine.reading.texts[f"names {sending.instance}"].split("\n")
        wanted = [sending.helo, sending.helo, str(sending.ipv4 or ""), str(sending.ipv6 or "")]
        what = ("myhostname", "smtp_helo_name", "smtp_bind_address", "smtp_bind_address6")
        for name, value, expected in zip(what, names, wanted, strict=False):
            if value.strip() != expected:
                problems.append(f"{sending.instance}: {name} is '{value}', expected '{expected}'")
        if len(names) != len(wanted):
            problems.append(f"{sending.instance}: postconf says {' '.join(names) or 'nothing'}")
    machine.check(problems)


def test_greeting(machine: Machine) -> None:
    """from every sending address an inbound port of the fleet can be greeted"""
    machine.check(smtp.greeting_problems(machine.run.greetings[machine.name]))
