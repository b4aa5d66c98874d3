"""Postfix, as Postfix itself reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.host.paths import configuration
from mailfleet.verify import postfix, smtp

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def planned(machine: Machine, path: str) -> str:
    return next(file.content for file in machine.expected.files if file.path == path)


def test_main_cf(machine: Machine) -> None:
    """every instance's parameters are the planned ones"""
    problems = []
    for instance in machine.expected.instances:
        wanted = planned(machine, f"{configuration(instance)}/main.cf")
        reported = machine.reading.texts[f"main.cf {instance}"]
        problems += [
            f"{configuration(instance)}: {p}" for p in postfix.main_problems(wanted, reported)
        ]
    machine.check(problems)


def test_master_cf(machine: Machine) -> None:
    """every instance's services are the planned ones"""
    problems = []
    for instance in machine.expected.instances:
        wanted = planned(machine, f"{configuration(instance)}/master.cf")
        reported = machine.reading.texts[f"master.cf {instance}"]
        problems += [
            f"{configuration(instance)}: {p}" for p in postfix.master_problems(wanted, reported)
        ]
    machine.check(problems)


def test_instances(machine: Machine) -> None:
    """postmulti knows exactly the planned instances, all enabled"""
    rows = [line.split() for line in machine.reading.texts["postmulti"].splitlines()]
    known = {row[3]: row[2] for row in rows if len(row) == 4}
    wanted = {configuration(instance): "y" for instance in machine.expected.instances}
    problems = [f"instance {folder} is not known" for folder in wanted if folder not in known]
    problems += [f"instance {folder} is not planned" for folder in known if folder not in wanted]
    problems += [f"instance {folder} is disabled" for folder in wanted if known.get(folder) == "n"]
    machine.check(problems)


def test_hold(machine: Machine) -> None:
    """no instance has mail on hold"""
    problems = []
    for instance in machine.expected.instances:
        problems += postfix.hold_problems(instance, machine.reading.texts[f"hold {instance}"])
    machine.check(problems)


def test_greets(machine: Machine) -> None:
    """every SMTP port answers, and with the planned name"""
    machine.check(
        smtp.unreachable(machine.from_outside) + smtp.banner_problems(machine.from_outside)
    )
