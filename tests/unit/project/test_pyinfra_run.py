"""What ends a run of pyinfra before it connects, beside what `declare` finds."""

from __future__ import annotations

import codecs
import shutil
from pathlib import Path

import click
import pytest

from mailfleet.project import inventory
from tests.unit.project.test_inventory import DECLARE, HOSTS, ROOT, project, pyinfra, write

pytestmark = pytest.mark.unit

__all__ = ["project"]


def test_missing_login_hashes_end_a_deploy_before_it_connects(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAILFLEET_SECRETS", "MAILFLEET_LOGIN_SHOP"):
        monkeypatch.delenv(name, raising=False)
    (project / "deploys").mkdir()
    (project / "deploys/mta.py").write_text("")
    run = pyinfra(
        write(HOSTS.replace("203.0.113.10", "193.0.6.139") + DECLARE), "deploys/mta.py", "-y"
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "the secret MAILFLEET_LOGIN_SHOP is not set" in run.stderr
    assert "Traceback" not in run.stderr
    assert "Connecting" not in run.stdout + run.stderr


def run_of(arguments: list[str]) -> click.Context:
    """What click keeps of a run of pyinfra, whose command line has these options among others."""
    options = [
        click.Argument(["inventory"]),
        click.Argument(["operations"], nargs=-1),
        click.Option(["--limit"], multiple=True),
    ]
    return click.Command("pyinfra", params=options).make_context("pyinfra", arguments)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (codecs.BOM_UTF8 + b"eu = []\n", "line 1: begins with a byte order mark"),
        (b"eu = [\n", "is not valid Python: '[' was never closed"),
        (b"eu = []\nus = 1 / 0\n", "line 2: cannot be executed: ZeroDivisionError"),
        (b"import sys\nsys.exit(3)\n", "line 2: ends the program"),
        (None, "does not exist; name an inventory file; inventories there: other"),
    ],
)
def test_what_pyinfra_cannot_execute_ends_its_run_in_words(
    project: Path, content: bytes | None, text: str
) -> None:
    shutil.copy(ROOT / "config.py", project)
    (project / "deploy.py").write_text("")
    write("", "other")
    if content is not None:
        write(content)
    run = pyinfra("inventories/prod", "deploy.py", "-y")
    assert run.returncode == 2
    assert "inventories/prod" in run.stderr
    assert text in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (project / "pyinfra-debug.log").exists()


def test_a_good_inventory_speaks_once(project: Path) -> None:
    shutil.copy(ROOT / "config.py", project)
    (project / "deploy.py").write_text("")
    text = "print('read', end='\\n')\n" + HOSTS.replace("mta1", "@fake/mta1") + DECLARE
    run = pyinfra(write(text), "deploy.py", "-y")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines().count("read") == 1
    # Hosts that no file declares are pyinfra's own matter.
    (project / "config.py").write_text((ROOT / "config.py").read_text() + "print('config read')\n")
    assert "config read" in pyinfra("@fake/mta1", "deploy.py", "-y").stdout


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["inventories/prod", "deploys/mta.py"], True),
        (["inventories/prod", "dns/push.py"], False),
        (["inventories/prod", "exec", "--", "uptime"], False),
        # Whoever prepares some of the hosts may have their secrets only.
        (["inventories/prod", "deploys/mta.py", "--limit", "eu"], False),
    ],
)
def test_secrets_of_hosts_are_asked_for_where_hosts_are_configured(
    arguments: list[str], wanted: bool
) -> None:
    with run_of(arguments):
        assert inventory._configures_hosts() is wanted
    assert inventory._configures_hosts() is False


def test_a_limit_that_names_nobody(project: Path) -> None:
    shutil.copy(ROOT / "config.py", project)
    (project / "deploy.py").write_text("")
    path = write(HOSTS.replace("mta1", "@fake/mta1") + DECLARE)
    run = pyinfra(path, "deploy.py", "-y", "--limit", "frankfurt")
    assert run.returncode == 2
    text = "inventories/prod: --limit: frankfurt is no host or region; there are @fake/mta1.shop.example, eu"
    assert text in run.stderr
    for limit in ("eu", "all", "prod", "@fake/mta1*"):
        assert pyinfra(path, "deploy.py", "-y", "--limit", limit).returncode == 0
