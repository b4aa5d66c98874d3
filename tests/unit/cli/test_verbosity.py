"""-v and --debug: at every command, on stderr, without secrets; a traceback only with --debug."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import click
import pytest

from mailfleet.cli import cli, main
from mailfleet.cli.validate import validate
from mailfleet.remote import process
from mailfleet.secrets import Secret

pytestmark = pytest.mark.unit

PASSED_ON = {"ssh"}
"""Commands whose options are another program's."""


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    log = logging.getLogger("mailfleet")
    before = log.level, log.propagate, list(log.handlers)
    yield
    log.setLevel(before[0])
    log.propagate = before[1]
    log.handlers[:] = before[2]


def commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def test_every_command_has_both_options() -> None:
    without = [
        command.name
        for command in (cli, *commands(cli))
        if not {"-v", "--debug"} <= {name for option in command.params for name in option.opts}
    ]
    assert set(without) == PASSED_ON


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mailfleet", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(str(end.value.code))


@pytest.mark.parametrize("document", [(), ("--json",)])
@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_shows_its_traceback_with_debug_only(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    debug: bool,
    document: tuple[str, ...],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(validate, "callback", broken)
    options = ("--debug",) if debug else ()
    assert run(monkeypatch, "validate", "inventories/prod", *document, *options) == 1
    output = capsys.readouterr()
    assert "a defect of mailfleet: KeyError" in output.err
    assert ("Traceback" in output.err) == debug
    assert "Traceback" not in output.out
    assert bool(output.out) == bool(document)


@pytest.mark.parametrize("where", ["before", "after"])
def test_verbose_shows_commands_and_their_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    def ask(**_: object) -> None:
        process.run([sys.executable, "-c", "pass"])

    monkeypatch.setattr(validate, "callback", ask)
    words = ["validate", "inventories/prod"]
    words.insert(0 if where == "before" else 2, "-v")
    assert run(monkeypatch, *words) == 0
    output = capsys.readouterr()
    assert "-c pass" in output.err
    assert "exit code 0 after" in output.err
    assert output.out == ""


def test_without_verbose_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(**_: object) -> None:
        process.run([sys.executable, "-c", "pass"])

    monkeypatch.setattr(validate, "callback", ask)
    assert run(monkeypatch, "validate", "inventories/prod") == 0
    assert capsys.readouterr().err == ""


def test_a_secret_is_logged_as_stars(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("mailfleet.test").debug("the key is %s", Secret("plain"))
    assert caplog.messages == ["the key is ***"]
