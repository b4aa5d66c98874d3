"""Every command line of README, CONTRIBUTING and docs/ can be typed: command, options and inventory exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from mailfleet.cli import cli

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
# docs/decisions tells what was decided when, also of commands that came later.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(r"(?:\.venv/bin/)?(mailfleet|pyinfra) (.*)")
SCRIPT = re.compile(r"\bscript/[a-z]+\b")
BLOCK = re.compile(r"^```[^\n]*\n.*?^```|^(?: {4}|\t)[^\n]*$", re.M | re.S)
# Stands for an inventory of the reader's.
PLACEHOLDER = "inventories/NAME"


def typed(text: str) -> Iterator[str]:
    """The lines of code blocks that run one of our programs, and what inline code says of them."""
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if found := PROGRAM.match(re.sub(r"^- run: ", "", line.strip().lstrip("$ "))):
                yield found[0]
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
        if found := PROGRAM.fullmatch(code):
            yield found[0]


def lines() -> list[tuple[str, str]]:
    pages = [page for page in PAGES if page.exists()]
    found = [
        (str(page.relative_to(ROOT)), line)
        for page in pages
        for line in typed(page.read_text("utf-8"))
    ]
    return [(page, line) for page, line in found if "|" not in line.split(" #")[0]]


def parse(arguments: list[str]) -> None:
    """click.UsageError where mailfleet does not take `arguments`; nothing is run."""
    command: click.Command = cli
    context = click.Context(command)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    command.make_parser(context).parse_args(list(arguments))


@cache
def pyinfra_options() -> frozenset[str]:
    """In a process of its own: to import its command line replaces Python's sockets."""
    program = (
        "from pyinfra_cli.cli import cli\n"
        "print(*(name for option in cli.params for name in option.opts + option.secondary_opts))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(done.stdout.split())


def problem(line: str) -> str:
    """Why a command line of the handbook cannot be typed as it stands; empty if it can."""
    program, *arguments = shlex.split(line.replace("…", ""), comments=True)
    arguments = [one for one in arguments if one not in (">", "|")]
    try:
        if program.endswith("pyinfra"):
            for option in {one for one in arguments if one.startswith("-")} - pyinfra_options():
                raise click.NoSuchOption(option)
        else:
            parse(arguments)
    except click.UsageError as error:
        return error.format_message()
    for argument in arguments:
        known = argument == PLACEHOLDER or (ROOT / argument).exists()
        if argument.startswith(("inventories/", "deploys/", "dns/")) and not known:
            return f"there is no {argument}"
    return ""


def test_there_are_command_lines() -> None:
    assert len(lines()) > 100


@pytest.mark.parametrize(("page", "line"), lines())
def test_a_command_line_can_be_typed(page: str, line: str) -> None:
    assert problem(line) == ""


@pytest.mark.parametrize(
    "line",
    [
        "mailfleet deplay inventories/prod",
        "mailfleet deploy inventories/prod --limits eu",
        "mailfleet dns plan inventories/nowhere",
        "pyinfra inventories/prod deploys/mta.py --yess",
        "pyinfra inventories/prod deploys/mda.py",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    assert problem(line)


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda p: p.name)
def test_scripts_exist(page: Path) -> None:
    assert [
        name for name in SCRIPT.findall(page.read_text("utf-8")) if not (ROOT / name).exists()
    ] == []
