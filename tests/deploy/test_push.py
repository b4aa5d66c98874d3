"""Publishing in a pyinfra run: what it asks of the hosts, and what it makes of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mailfleet.facts.public_keys import PublicKeys
from tests.deploy.answers import text

if TYPE_CHECKING:
    from tests.deploy.conftest import Certify, Project

pytestmark = pytest.mark.deploy


def test_one_remote_command_tells_all_that_is_published(project: Project, certify: Certify) -> None:
    eu, us = project.hosts
    question, no_keys = text(PublicKeys().command()), json.dumps([])
    project.answer(
        {eu: {question: [*certify((eu,)), no_keys]}, us: {question: [no_keys]}},
    )
    run = project.pyinfra("-y", deploy="dns/push.py", program="pusher.py")
    assert run.code == 0, run.output
    assert Counter(command.host for command in run.commands) == {eu: 1, us: 1}
    (note,) = [
        line for line in run.output.splitlines() if "no certificate that can be read" in line
    ]
    assert (eu in note, us in note) == (False, True)
    _, _, reverse_names = run.output.partition("ask the company")
    assert reverse_names.count(".arpa. PTR ") == 6
