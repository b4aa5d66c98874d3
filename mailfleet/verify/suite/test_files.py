"""Files and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.verify import files

if TYPE_CHECKING:
    from mailfleet.verify.suite.plugin import Machine

pytestmark = pytest.mark.verify


def test_contents(machine: Machine) -> None:
    """every planned file holds what is planned"""
    machine.check(files.content_problems(machine.expected.files, machine.reading.tree))


def test_owners(machine: Machine) -> None:
    """planned files and folders have the planned owner, group and mode"""
    expected, tree = machine.expected, machine.reading.tree
    folders = files.owner_problems(expected.state.directories, tree)
    machine.check(folders + files.owner_problems(expected.files, tree))


def test_private_keys(machine: Machine) -> None:
    """private keys are readable by their services alone"""
    machine.check(files.key_problems(machine.expected.private_keys, machine.reading.tree))
