"""The `mailfleet` command. Each command has a module of its own; this one runs them."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from mailfleet.cli.commands import Commands
from mailfleet.cli.failure import as_document, wants_document
from mailfleet.cli.verbosity import add_to, report_defect
from mailfleet.errors import EXIT_FAILED, MailfleetError


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mailfleet")
def cli() -> None:
    """Build, prove and run a fleet of sending mail servers.

    Hosts are configured with pyinfra: mailfleet deploy inventories/NAME, or pyinfra itself,
    pyinfra inventories/NAME deploys/mta.py

    Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage or configuration, 3 changes pending.
    """


add_to(cli)


def main() -> None:
    """Run the command line; an error that is meant for the user ends in its text, not a traceback."""
    if wants_document(cli, sys.argv[1:]):
        _main_with_document()
    try:
        cli()
    except MailfleetError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user who does not ask for it
        report_defect(error)
        sys.exit(EXIT_FAILED)


def _main_with_document() -> NoReturn:
    """Like `main`, with the document that a program waits for also where the command prints none."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except MailfleetError as error:
        click.echo(str(error), err=True)
        click.echo(as_document(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        click.echo(as_document(error))
        sys.exit(error.exit_code)
    except click.Abort as error:
        click.echo(as_document(error))
        sys.exit(EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - as above
        report_defect(error)
        click.echo(as_document(error))
        sys.exit(EXIT_FAILED)
