"""`mailfleet plan`: everything that a deploy would change, without changing it."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from mailfleet.facts.files import FileContents
from mailfleet.facts.processes import PROCESS
from mailfleet.host.plan.render import lines
from mailfleet.host.plan.report import PLAN, HostReport, load
from tests.deploy.answers import text
from tests.deploy.conftest import PUBLIC
from tests.deploy.test_converged import BUDGET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.conftest import Certify, Project, Run

pytestmark = pytest.mark.deploy

MAIN_CF = "/etc/postfix-orders/main.cf"
LOGINS = "/etc/dovecot/mailfleet/logins"
QUESTIONS = (
    ". /etc/os-release",
    "dpkg-query -W",
    f"sh -c {shlex.quote(PROCESS)}".rstrip("'"),
    "stat -c",
    "if command -v python3",
    "systemctl show",
    text(FileContents().command(paths=())),
)
# A world whose DNS knows nothing, and a zone that nobody is asked about.
ALONE = """
from mailfleet import cli
from mailfleet.cli import plan
plan.resolver_of = lambda _: lambda name, rtype: ()
plan.answers_of = lambda _: lambda zone, wanted: ()
cli.main()
"""


def reports(project: Project, folder: Path) -> tuple[Run, dict[str, HostReport]]:
    """A run as `mailfleet plan` starts it, with every remote command, and what it reports."""
    folder.mkdir()
    run = project.pyinfra("--dry", "--json", "--data", f"{PLAN}={folder}")
    return run, {path.stem: load(path.read_bytes()) for path in folder.iterdir()}


def command(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.mailfleet("plan", *arguments, program=ALONE)


def change(project: Project, host: str, key: str, *pairs: tuple[str, str]) -> None:
    """Replace lines, or parts of them, of what `host` answers to the command that contains `key`."""
    answers = project.answers()
    asked = next(one for one in answers[host] if key in one)
    said = list(answers[host][asked])
    for old, new in pairs:
        assert any(old in line for line in said), old
        said = [line.replace(old, new) for line in said]
    answers[host][asked] = [line for line in said if line != "gone"]
    project.answer(answers)


def test_a_fleet_that_is_as_it_should_be(
    project: Project, certify: Certify, tmp_path: Path
) -> None:
    project.converge(certify)
    run, found = reports(project, tmp_path / "plan")
    assert run.code == 0, run.stderr
    assert {name: report.plan.is_empty for name, report in found.items()} == dict.fromkeys(
        project.hosts, True
    )
    assert [report.problems for report in found.values()] == [(), ()]
    # Not one question more than a deploy that changes nothing.
    assert Counter(c.host for c in run.commands) == dict.fromkeys(project.hosts, BUDGET)
    assert all(command.text.startswith(QUESTIONS) for command in run.commands)


def test_everything_that_can_differ_is_shown(
    project: Project, certify: Certify, tmp_path: Path
) -> None:
    project.converge(certify)
    eu, us = project.hosts
    content = next(f.content for f in project.desired(eu).files if f.path == MAIN_CF)
    sums = {f.path: f.sha256 for f in project.desired(eu).files}
    by_hand = content.replace("biff = no", "biff = yes")
    change(
        project,
        eu,
        "/etc/resolv.conf",
        (f"{sums[MAIN_CF]}  {MAIN_CF}", f"{'ab' * 32}  {MAIN_CF}"),
        (f"{sums[LOGINS]}  {LOGINS}", f"{'ab' * 32}  {LOGINS}"),
        ("|644|root|root|/etc/resolv.conf", "|666|root|root|/etc/resolv.conf"),
        ("stat|regular file|644|root|root|/etc/opendkim/trusted.hosts", "gone"),
        ("managed|/etc/resolv.conf", "managed|/etc/old.conf"),
    )  # fmt: skip
    change(project, eu, "dpkg-query", ("postfix ii ", "postfix un "), ("ufw ii ", "exim4-base ii "))
    change(project, eu, "dns.resolver", ("600 opendkim", "644 opendkim"))
    change(
        project,
        us,
        "systemctl show",
        ("Id=unbound.service", "Id=unknown.service"),
        ("Id=dovecot.socket", "Id=unknown.socket"),
        ("managed=nginx.service", "pending=nginx.service"),
    )
    change(project, us, "openssl pkey", ("chain|", "none|"))
    answers = project.answers()
    encoded = base64.b64encode(by_hand.encode()).decode()
    answers[eu] = {"base64 -w 0": [f"content|{encoded}|{MAIN_CF}"], **answers[eu]}
    project.answer(answers)
    run, found = reports(project, tmp_path / "plan")
    assert run.code == 0, run.stderr
    shown = list(lines(found[eu].plan))
    for line in (
        "+ package postfix",
        "+ package ufw",
        "- package exim4-base",
        f"~ {MAIN_CF}",
        "    -biff = yes",
        "    +biff = no",
        f"~ {LOGINS}: its content is a secret, and not shown",
        "~ /etc/resolv.conf: 0666 root:root becomes 0644 root:root",
        "+ /etc/opendkim/trusted.hosts",
        "- /etc/old.conf",
    ):
        assert line in shown
    assert any("private: 644 opendkim opendkim becomes 600" in line for line in shown)
    assert "! opendkim@orders.service is restarted: " in "\n".join(shown)
    assert any(line.startswith("! postfix@") and line.endswith(f": {MAIN_CF}") for line in shown)
    assert not [line for line in shown if line.startswith("!") and "dovecot" in line]
    assert list(lines(found[us].plan)) == [
        "+ certificate that the host signs itself: there is none",
        "! dovecot.socket is masked",
        "! unbound.service is enabled",
        "! unbound.service is started",
        *[line for line in lines(found[us].plan) if "the host's certificate" in line],
        "~ the list of units that mailfleet has started is written anew",
        "! certificate ordered from the authority: the host's own is not an authority's",
    ]
    (nginx,) = [line for line in lines(found[us].plan) if "nginx.service" in line]
    assert nginx.startswith("! nginx.service is reloaded: ")
    # One question more where a text is compared, and never about secrets.
    assert Counter(c.host for c in run.commands) == {eu: BUDGET + 1, us: BUDGET}
    (asked,) = [c.text for c in run.commands if "base64 -w 0" in c.text]
    assert asked.endswith(f" contents {MAIN_CF}")
    assert all(command.text.startswith(QUESTIONS) for command in run.commands)


def test_the_view_of_hosts_and_zones_and_its_exit_codes(project: Project, certify: Certify) -> None:
    project.write("inventories/prod", PUBLIC)
    project.converge(certify)
    done = command(project, "inventories/prod")
    assert done.returncode == 0, done.stderr
    eu, us = project.hosts
    said = done.stdout.splitlines()
    assert said[:2] == [f"{eu}: no changes", f"{us}: no changes"]
    assert said[2].startswith("shop.example is kept by hand: ")
    # What is to be entered by hand is pending, too.
    assert command(project, "inventories/prod", "--expect-no-changes").returncode == 3
    done = command(project, "inventories/prod", "--limit", "us", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(document["hosts"]) == [us]
    assert document["hosts"][us]["pending"] is False
    assert document["dns"]["zones"][0]["zone"] == "shop.example"
    assert document["problems"] == []


def test_what_cannot_be_asked_is_told_in_words(project: Project, certify: Certify) -> None:
    project.write("inventories/prod", PUBLIC)
    domain = (project.folder / "dns/shop.example.toml").read_text()
    project.write("dns/shop.example.toml", f'[dns]\nprovider = "cloudflare"\n{domain}')
    project.converge(certify)
    eu, us = project.hosts
    answers = project.answers()
    answers[eu] = {"os-release": {"success": False, "stderr": ["No such file"]}, **answers[eu]}
    project.answer(answers)
    done = command(project, "inventories/prod", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert list(document["hosts"]) == [us]
    assert list(document["unread"]) == [eu]
    (problem,) = document["problems"]
    assert problem.startswith(f"{eu} could not be asked: ")
    assert any("CLOUDFLARE" in text for text in document["dns"]["problems"])
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inventories/prd",), "does not exist"),
        (("inventories/prod", "--limit", "asia"), "no host is called or grouped 'asia'"),
    ],
)
def test_a_mistake_is_told_in_the_document_too(
    project: Project, arguments: tuple[str, ...], said: str
) -> None:
    project.write("inventories/prod", PUBLIC)
    done = command(project, *arguments, "--json")
    assert done.returncode == 2
    assert said in done.stderr
    assert json.loads(done.stdout)["error"]["exit_code"] == 2
