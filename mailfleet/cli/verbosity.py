"""`-v` and `--debug` of every command: what it asks of others, on stderr; never the value of a secret.

`-v` shows each remote command, request to an API and wait, and what pyinfra does where a command runs it.
`--debug` shows the details of those too, and the traceback of an error that is a defect of ours.
"""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable

import click

_LIBRARY = "mailfleet"
_FORMAT = "%(asctime)s.%(msecs)03d %(name)s: %(message)s"


def add_to(command: click.Command) -> None:
    """Give the command, and all below it, both options; not to one that passes options on."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_to(inner)
    if not command.context_settings.get("ignore_unknown_options"):
        command.params += [_option(["-v", "--verbose"], _verbose, "Show what is asked of others.")]
        command.params += [_option(["--debug"], _debug, "Show all of it, and tracebacks.")]


def report_defect(error: Exception) -> None:
    """Tell of an exception that nobody meant for the user."""
    if logging.getLogger(_LIBRARY).isEnabledFor(logging.DEBUG):
        logging.getLogger(_LIBRARY).debug("a defect of mailfleet", exc_info=error)
    text = f"a defect of mailfleet: {type(error).__name__} on Python {platform.python_version()}"
    click.echo(f"{text}\n  hint: try again with --debug, and report what it shows", err=True)


def _option(
    names: list[str],
    callback: Callable[[click.Context, click.Parameter, bool], None],
    text: str,
) -> click.Option:
    return click.Option(
        names, is_flag=True, expose_value=False, is_eager=True, callback=callback, help=text
    )


def _verbose(_context: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        _show(logging.INFO)


def _debug(_context: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        _show(logging.DEBUG)


def _show(level: int) -> None:
    log = logging.getLogger(_LIBRARY)
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT, "%H:%M:%S"))
        log.addHandler(handler)
        log.propagate = False
    # Both options: the one that shows more.
    log.setLevel(min(level, log.level or level))
