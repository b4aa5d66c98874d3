"""`mailfleet deploy`: the deploy as pyinfra runs it, checked before and counted after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.deploy.conftest import PUBLIC

if TYPE_CHECKING:
    from tests.deploy.conftest import Certify, Project

pytestmark = pytest.mark.deploy


@pytest.fixture
def fleet(project: Project) -> Project:
    project.write("inventories/prod", PUBLIC)
    project.wipe()
    return project


def test_every_host_is_counted(fleet: Project) -> None:
    done = fleet.mailfleet("deploy", "inventories/prod")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [word for host in fleet.hosts for word in ("changed", host)]
    assert "--> Beginning operation run" in done.stderr


def test_a_region_alone(fleet: Project) -> None:
    eu, _ = fleet.hosts
    done = fleet.mailfleet("deploy", "inventories/prod", "--limit", "eu", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["changed"], result["failed"], result["missing"]) == ([eu], [], [])


def test_a_host_that_fails_is_named(fleet: Project) -> None:
    eu, us = fleet.hosts
    answers = fleet.answers()
    answers[us] = {"apt-get": {"success": False, "stderr": ["E: Unable to locate"]}, **answers[us]}
    fleet.answer(answers)
    done = fleet.mailfleet("deploy", "inventories/prod", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert (result["changed"], result["failed"]) == ([eu], [us])
    assert "E: Unable to locate" in done.stderr


def test_a_dry_run_shows_what_a_plan_shows_of_hosts(project: Project, certify: Certify) -> None:
    project.write("inventories/prod", PUBLIC)
    project.converge(certify)
    eu, us = project.hosts
    done = project.mailfleet("deploy", "inventories/prod", "--dry-run", "--expect-no-changes")
    assert (done.returncode, done.stdout) == (0, f"{eu}: no changes\n{us}: no changes\n")
    answers = project.answers()
    answers[us] = {
        question: [line.replace("postfix ii ", "postfix un ") for line in lines]
        if "dpkg-query" in question and isinstance(lines, list)
        else lines
        for question, lines in answers[us].items()
    }
    project.answer(answers)
    dry = ("deploy", "inventories/prod", "--dry-run")
    done = project.mailfleet(*dry)
    assert done.returncode == 0, done.stderr
    assert "\n  + package postfix\n" in done.stdout
    done = project.mailfleet(*dry, "--json", "--expect-no-changes")
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert document["pending"] is True
    assert {name: host["pending"] for name, host in document["hosts"].items()} == {
        eu: False,
        us: True,
    }
    assert "dns" not in document
    assert project.mailfleet(*dry, "--limit", "eu", "--expect-no-changes").returncode == 0


def test_a_dry_run_that_cannot_ask_all_hosts_fails(project: Project, certify: Certify) -> None:
    project.write("inventories/prod", PUBLIC)
    project.converge(certify)
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {"os-release": {"success": False, "stderr": ["No such file"]}, **answers[eu]}
    project.answer(answers)
    done = project.mailfleet("deploy", "inventories/prod", "--dry-run")
    assert (done.returncode, done.stdout) == (1, f"{us}: no changes\n")
    assert f"problem: {eu} could not be asked: " in done.stderr


def test_changes_cannot_be_forbidden_to_a_deploy(fleet: Project) -> None:
    done = fleet.mailfleet("deploy", "inventories/prod", "--expect-no-changes", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["text"].startswith(
        "--expect-no-changes is for --dry-run"
    )


@pytest.mark.parametrize("path", ["inventories/prd", "inventories"])
def test_a_mistyped_inventory_is_no_success(fleet: Project, path: str) -> None:
    done = fleet.mailfleet("deploy", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}: " in done.stderr


def test_a_mistyped_limit_is_no_success(fleet: Project) -> None:
    done = fleet.mailfleet("deploy", "inventories/prod", "--limit", "asia")
    assert done.returncode == 2
    assert "no host is called or grouped 'asia'" in done.stderr


def test_missing_secrets_are_told_before_anything_starts(fleet: Project) -> None:
    done = fleet.mailfleet("deploy", "inventories/prod", "--json", logins=False)
    assert done.returncode == 1
    for name in fleet.logins:
        assert f"MAILFLEET_LOGIN_{name.upper()}" in json.loads(done.stdout)["error"]["text"]
    assert "-->" not in done.stderr


def test_an_inventory_that_raises_shows_no_traceback(fleet: Project) -> None:
    fleet.write("inventories/prod", "1 / 0\n" + PUBLIC)
    done = fleet.mailfleet("deploy", "inventories/prod")
    assert done.returncode == 2
    assert "line 1: cannot be executed: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
