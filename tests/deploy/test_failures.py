"""What goes wrong stops in time, says so in plain words, and leaves the rest of the fleet alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.deploy.conftest import Project

pytestmark = pytest.mark.deploy

REFUSED = "/etc/postfix-orders/main.cf: unused parameter: smpt_tls"


def starts(command: str, unit: str) -> bool:
    return "systemctl start " in command and unit in command


def test_a_refused_configuration_leaves_the_services_alone(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {"install host": {"success": False, "stderr": [REFUSED]}, **answers[eu]}
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert REFUSED in run.output
    told = [c.text for c in run.on(eu) if c.text.startswith(("{ ", "systemctl", "ufw"))]
    assert told == []
    assert run.on(eu)[-1].text.endswith("install host")
    assert any(starts(c.text, "dovecot.service") for c in run.on(us))


def test_packages_that_cannot_be_installed_stop_their_host(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answers = project.answers()
    answers[us] = {"apt-get": {"success": False, "stderr": ["E: Unable to locate"]}, **answers[us]}
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert "apt-get" in run.on(us)[-1].text
    assert any(starts(c.text, "dovecot.service") for c in run.on(eu))


def test_a_service_that_does_not_start_is_a_failure(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {
        "systemctl start unbound.service": {"success": False, "stderr": ["bad option"]},
        **answers[eu],
    }
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert "bad option" in run.output
    assert not any(starts(c.text, "postfix") for c in run.on(eu))
    assert any(starts(c.text, "postfix") for c in run.on(us))


def test_a_host_that_cannot_say_its_release_is_not_guessed(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {"os-release": {"success": False, "stderr": ["No such file"]}}
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert len(run.on(eu)) == 1
    assert "Traceback" not in run.output
    assert any(starts(c.text, "dovecot.service") for c in run.on(us))


def test_a_missing_secret_is_named_before_anything_changes(project: Project) -> None:
    project.wipe()
    run = project.pyinfra("-y", environment={"MAILFLEET_LOGIN_SHOP": project.logins["shop"]})
    assert run.code != 0
    assert "the secret MAILFLEET_LOGIN_NEWSLETTER is not set" in run.output
    assert "Traceback" not in run.output
    assert all("os-release" in command.text for command in run.commands)


def test_a_host_too_small_to_scan_is_named_before_anything_changes(project: Project) -> None:
    project.wipe()
    eu, _ = project.hosts
    answers = project.answers()
    asked = next(text for text in answers[eu] if "os-release" in text)
    answers[eu][asked] = ["bookworm", "2", str(1967 * 1024)]
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code != 0
    assert f"{eu} has 1967 MB of memory, and scanning needs" in run.output
    assert '"inbound_scan": "none"' in run.output
    assert "Traceback" not in run.output
    assert all("os-release" in command.text for command in run.commands)


def test_an_agent_that_prints_no_json_stops_its_host(project: Project) -> None:
    project.wipe()
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {"importlib.abc": ["Segmentation fault"], **answers[eu]}
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert "agent/dkim/report.py printed no JSON" in run.output
    assert "Traceback" not in run.output
    assert any(starts(c.text, "dovecot.service") for c in run.on(us))
    assert not any("systemctl start" in c.text for c in run.on(eu))


def test_an_own_template_that_fails_is_told_in_words(project: Project) -> None:
    project.wipe()
    (project.folder / "templates/etc").mkdir(parents=True)
    project.write("templates/etc/hosts.j2", "{{ nobody }}\n")
    run = project.pyinfra("-y")
    assert run.code != 0
    assert "templates/etc/hosts.j2: line 1: 'nobody' is undefined" in run.output
    assert "Traceback" not in run.output
