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
(INIT,) = re.findall(r"^    (mailfleet init .*)$", PAGE, re.M)
FILES = dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S))
OFFLINE = re.compile(r"^    (mailfleet (?:validate|render|dns records) .*)$", re.M)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository that init writes, with the reader's edits, and no secrets."""
    for name in os.environ:
        if name.startswith("MAILFLEET_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    assert run(INIT, monkeypatch) == 0
    monkeypatch.chdir(tmp_path / "mail")
    for name, text in FILES.items():
        assert Path(name).is_file()
        Path(name).write_text(text)


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_tutorial_shows_the_domain_file() -> None:
    assert set(FILES) == {"dns/shop.example.toml"}


def test_the_lines_to_look_at_are_there() -> None:
    text = Path("inventories/prod").read_text()
    assert "_ssh = {" in text
    assert "inbound_scan=" in text


def test_the_offline_commands_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = {}
    for command in OFFLINE.findall(PAGE):
        assert run(command, monkeypatch) == 0
        output[command.split()[1]] = capsys.readouterr().out
    assert set(output) == {"validate", "render", "dns"}
    assert "nothing wrong" in output["validate"]
    assert "MAILFLEET_LOGIN_APP" in output["validate"]
    assert Path("rendered/mta1.eu.shop.example/etc/postfix-transactional/main.cf").is_file()
    assert "shop.example. 3600 IN MX 10 mx.office.example." in output["dns"]
    assert "smtp-transactional.shop.example. 3600 IN A 203.0.113.10" in output["dns"]


def test_nothing_connects_to_the_example_addresses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mailfleet deploy inventories/prod", monkeypatch) == 2
    assert "is reserved for documentation" in capsys.readouterr().err
