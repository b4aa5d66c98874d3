"""The tutorial's files are right as they stand, and its commands that need no server work."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from mailfleet import cli

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).resolve().parents[3] / "docs/tutorial.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S))
OFFLINE = re.compile(r"^    (mailfleet (?:validate|render|dns records) .*)$", re.M)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the tutorial's files, and no secrets."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("MAILFLEET_"):
            monkeypatch.delenv(name)


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_tutorial_has_the_two_files() -> None:
    assert set(FILES) == {"inventories/prod", "dns/shop.example.toml"}


def test_the_offline_commands_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = {}
    for command in OFFLINE.findall(PAGE):
        assert run(command, monkeypatch) == 0
        output[command.split()[1]] = capsys.readouterr().out
    assert set(output) == {"validate", "render", "dns"}
    assert "nothing wrong" in output["validate"]
    assert "MAILFLEET_LOGIN_SHOP" in output["validate"]
    assert Path("rendered/mta1.shop.example/etc/postfix-transactional/main.cf").is_file()
    assert "shop.example. 3600 IN MX 10 mx.office.example." in output["dns"]
    assert "smtp-transactional.shop.example. 3600 IN A 203.0.113.11" in output["dns"]


def test_nothing_connects_to_the_example_addresses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mailfleet deploy inventories/prod", monkeypatch) == 2
    assert "is reserved for documentation" in capsys.readouterr().err
