"""`--json`: every command that has it prints one document, also where it cannot do its work."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from mailfleet import cli
from mailfleet.errors import MailfleetError
from mailfleet.project import inventory

pytestmark = pytest.mark.unit


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif any("--json" in option.opts for option in command.params):
            yield (*path, name), command


WITH_JSON = list(commands(cli.cli))
READING = [path for path, command in WITH_JSON if "INVENTORY" in command.get_usage(
    click.Context(command))]  # fmt: skip


def document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, Any], str]:
    monkeypatch.setattr(sys, "argv", ["mailfleet", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert isinstance(end.value.code, int)
    error: dict[str, Any] = json.loads(out)["error"]
    assert error["exit_code"] == end.value.code
    return end.value.code, error, err


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns/shop.example.toml").write_text("ttl = 0\nspff = 1\n")
    (tmp_path / "inventories/prod").write_text(
        "from mailfleet import inventory as _inventory\n"
        'eu = [("mta1.shop.example", {"streams": {"orders": ["203.0.113.300"]}})]\n'
        '_inventory.declare(globals(), domains=["shop.example"])\n'
    )
    monkeypatch.chdir(tmp_path)


def test_the_walk_finds_the_commands() -> None:
    assert {("dns", "plan"), ("dns", "check"), ("probe",), ("verify",)} <= set(READING)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_wrong_configuration(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error, err = document(monkeypatch, capsys, *command, "inventories/prod", "--json")
    assert code == 2
    assert [(p["file"], p["key"]) for p in error["problems"]] == [
        ("dns/shop.example.toml", "ttl"),
        ("dns/shop.example.toml", "spff"),
        ("inventories/prod", "host mta1.shop.example: streams.orders"),
    ]
    assert error["text"] in err


@pytest.mark.parametrize("command", [path for path, _ in WITH_JSON], ids=" ".join)
def test_wrong_usage(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error, err = document(monkeypatch, capsys, *command, "--nonsense", "--json")
    assert code == 2
    assert error["text"] in err
    assert "No such option" in error["text"]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_failure(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> None:
        raise MailfleetError("the lab is down", "mailfleet lab up")

    monkeypatch.setattr(inventory, "read", fails)
    monkeypatch.setattr(inventory, "read_for_deploy", fails)
    code, error, _ = document(monkeypatch, capsys, *command, "inventories/prod", "--json")
    assert code == 1
    assert error == {
        "exit_code": 1,
        "text": "the lab is down",
        "hint": "mailfleet lab up",
        "problems": [],
    }


def test_the_words_of_a_remote_command_ask_for_nothing() -> None:
    from mailfleet.cli.failure import wants_document

    assert not wants_document(cli.cli, ["lab", "ssh", "mta1", "ip", "--json"])
    assert wants_document(cli.cli, ["lab", "status", "--json"])
