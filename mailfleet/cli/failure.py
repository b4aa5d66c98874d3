"""How a command ends that cannot do its work: text on stderr, with `--json` a document on stdout too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from mailfleet.errors import EXIT_FAILED, ConfigurationError, MailfleetError


def wants_document(group: click.Group, arguments: Sequence[str]) -> bool:
    """Whether the command that `arguments` name was asked for a document.

    Asked of the arguments, since wrong ones end before click has parsed them all.
    """
    command: click.Command = group
    context = click.Context(group)
    for word in arguments:
        if isinstance(command, click.Group):
            command = command.get_command(context, word) or command
    known = any("--json" in option.opts for option in command.params)
    return known and "--json" in arguments


def as_document(error: Exception) -> str:
    """The JSON document of an error: exit code, text, hint, and each problem by file and key."""
    return json.dumps({"error": _plain(error)}, indent=2)


def _plain(error: Exception) -> dict[str, Any]:
    if isinstance(error, MailfleetError):
        problems = error.problems if isinstance(error, ConfigurationError) else ()
        return {
            "exit_code": error.exit_code,
            "text": error.problem,
            "hint": error.hint,
            "problems": [vars(problem) for problem in problems],
        }
    code, text, hint = EXIT_FAILED, "a defect of mailfleet", "try again with --debug"
    if isinstance(error, click.ClickException):
        code, text, hint = error.exit_code, error.format_message(), "see --help"
    elif isinstance(error, click.Abort):
        text, hint = "aborted", ""
    return {"exit_code": code, "text": text, "hint": hint, "problems": []}
