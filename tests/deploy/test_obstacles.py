"""A host that is not as a deploy expects it is named before anything changes on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.deploy.answers import preconditions

if TYPE_CHECKING:
    from tests.deploy.conftest import Certify, Project

pytestmark = pytest.mark.deploy

SOCKET = 'socket|tcp LISTEN 0 9 *:{} *:* users:(("x",pid=7,fd=4))'
APACHE = [SOCKET.format(80), "process|7|/usr/sbin/apache2||apache2.service|apache2"]
EXIM = [SOCKET.format(25), "process|7|/usr/sbin/exim4|removed|exim4.service|exim4 -bd"]
LOCK = "lock|/var/lib/apt/lists/lock|711|session-1.scope|T|apt-get update"


def answer(project: Project, key: str, lines: list[str]) -> None:
    """Let the first host answer so to commands that contain `key`."""
    host = project.hosts[0]
    answers = project.answers()
    answers[host] = {key: lines, **{k: v for k, v in answers[host].items() if k != key}}
    project.answer(answers)


def test_who_holds_a_port_is_named_before_anything_changes(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answer(project, preconditions(project.desired(eu)), APACHE)
    owners = ["apache2.service|/usr/sbin/apache2|apache2|httpd"]
    answer(project, "sh -c 'owner()", owners)
    run = project.pyinfra("-y")
    assert run.code == 1
    said = "(pid 7, apache2.service, package apache2); stop it for good with"
    assert (
        f"[@fake/{eu}] tcp port 80 (certificate challenges) is held by apache2 {said}" in run.output
    )
    assert "nothing was changed" in run.output
    assert not any("apt-get" in command.text for command in run.on(eu))
    assert any("apt-get -qq" in command.text for command in run.on(us))


def test_a_deploy_that_asks_first_ends_before_it_asks(project: Project) -> None:
    project.wipe()
    eu, _ = project.hosts
    answer(project, preconditions(project.desired(eu)), APACHE)
    run = project.pyinfra(enter=True)
    assert run.code != 0
    assert f"{eu}: tcp port 80 (certificate challenges) is held by apache2" in run.output
    assert "Traceback" not in run.output
    assert not any("apt-get -qq" in command.text for command in run.commands)


def test_a_mail_server_without_its_package_is_ended(project: Project, certify: Certify) -> None:
    project.converge(certify)
    eu, us = project.hosts
    state = project.desired(eu)
    installed = [f"{name} ii " for name in state.packages]
    answer(project, preconditions(state), [*installed, "exim4-base ii ", *EXIM])
    run = project.pyinfra("-y", "--json")
    assert run.code == 0, run.stderr
    (script,) = (c.text for c in run.on(eu) if "apt-get -qq" in c.text)
    # No package is missing: the process alone is in the way, and what only helped it.
    assert re.search(r"' install 7 'exim4-base sendmail-base'$", script)
    assert not any("apt-get -qq" in command.text for command in run.on(us))


def test_a_unit_whose_package_is_gone_is_forgotten(project: Project, certify: Certify) -> None:
    project.converge(certify)
    state = project.desired(project.hosts[0])
    installed = [f"{name} ii " for name in state.packages]
    answer(project, preconditions(state), [*installed, "orphan|exim4-base.timer"])
    run = project.pyinfra("-y", "--json")
    assert run.totals == {"success": 1, "error": 0, "no_change": 11}
    assert [c.text for c in run.on(project.hosts[0]) if "reset-failed" in c.text.split()] == [
        "systemctl reset-failed exim4-base.timer"
    ]


def test_who_holds_apt_for_good_is_named(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answer(project, "holders; true", [LOCK])
    run = project.pyinfra("-y")
    assert run.code == 1
    assert (
        f"[@fake/{eu}] apt cannot be used: apt-get update (pid 711, session-1.scope, stopped) holds "
        "/var/lib/apt/lists/lock; let it go on with 'kill -CONT 711'" in run.output
    )
    assert not any("apt-get -qq" in command.text for command in run.on(eu))
    assert any("apt-get -qq" in command.text for command in run.on(us))
