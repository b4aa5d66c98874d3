"""The commands of `mailfleet`, each in a module of its name, which is imported when it is asked for.

All of them together import pyinfra, the providers' SDKs and the lab, which takes seconds that a
`mailfleet --version` has no use for.
"""

from __future__ import annotations

from importlib import import_module

import click

from mailfleet.cli.verbosity import add_to

NAMES = ("deploy", "dns", "init", "lab", "plan", "probe", "render", "validate", "verify")


class Commands(click.Group):
    """A group whose command NAME is the function NAME of the module `mailfleet.cli.NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, with the options that every command has; None where there is none."""
        if cmd_name not in NAMES:
            return None
        if cmd_name not in self.commands:
            command: click.Command = getattr(import_module(f"mailfleet.cli.{cmd_name}"), cmd_name)
            add_to(command)
            self.add_command(command, cmd_name)
        return self.commands[cmd_name]
