"""`mailfleet deploy`: the deploy of an inventory's hosts, checked before and counted after."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from mailfleet.cli.hosts import (
    deployable_hosts,
    document_of,
    is_pending,
    problems_of,
    program,
    read_pending,
    show_pending,
)
from mailfleet.cli.options import as_document, expect_no_changes, inventory_path, limit
from mailfleet.cli.previews import previews
from mailfleet.errors import EXIT_DONE, EXIT_FAILED, EXIT_PENDING
from mailfleet.project import inventory
from mailfleet.project.folder import templates_folder
from mailfleet.remote.plan import PlansRead
from mailfleet.remote.pyinfra import DeployResult
from mailfleet.remote.pyinfra import deploy as run


@click.command()
@inventory_path
@limit
@as_document
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@expect_no_changes
def deploy(
    inventory_path: str,
    limit: str | None,
    as_document: bool,
    dry_run: bool,
    expect_no_changes: bool,
) -> None:
    """Check the files and secrets, configure the hosts with pyinfra, and count them.

    The same as `pyinfra INVENTORY deploys/mta.py -y`, which ends with 0 where it reached no host at
    all. Exit code 0 only if every chosen host is as it should be. --dry-run shows what `mailfleet plan`
    shows of hosts; zones are not asked.
    """
    if expect_no_changes and not dry_run:
        raise click.UsageError("--expect-no-changes is for --dry-run; a deploy makes its changes")
    fleet = inventory.read_for_deploy(inventory_path)
    hosts = deployable_hosts(fleet, limit)
    if templates_folder(inventory_path).is_dir():
        previews(fleet, hosts)
    if dry_run:
        read = read_pending(fleet, hosts, limit)
        if as_document:
            click.echo(json.dumps(document_of(fleet, read), indent=2))
        else:
            show_pending(read)
        raise click.exceptions.Exit(_exit_code(read, expect_no_changes))
    result = run(inventory_path, program(), [host.name for host in hosts], limit)
    if as_document:
        click.echo(json.dumps({"fleet": fleet.name, **asdict(result)}, indent=2))
    else:
        _show(result)
    if not result.is_complete:
        raise click.exceptions.Exit(EXIT_FAILED)


def _exit_code(read: PlansRead, expect_no_changes: bool) -> int:
    if problems_of(read):
        return EXIT_FAILED
    return EXIT_PENDING if expect_no_changes and is_pending(read) else EXIT_DONE


def _show(result: DeployResult) -> None:
    words = {"changed": "green", "unchanged": None, "failed": "red", "missing": "red"}
    for word, colour in words.items():
        for name in getattr(result, word):
            text = "not reached" if word == "missing" else word
            click.echo(f"{click.style(f'{text:<11}', fg=colour)} {name}")
