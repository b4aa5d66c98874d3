"""`mailfleet deploy`: the deploy of an inventory's hosts, checked before and counted after."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from mailfleet.cli.options import as_document, inventory_path, limit
from mailfleet.cli.previews import previews
from mailfleet.errors import EXIT_FAILED
from mailfleet.host.resources import DEPLOYS
from mailfleet.project import inventory
from mailfleet.project.folder import templates_folder
from mailfleet.project.login_hashes import login_hashes
from mailfleet.remote.pyinfra import DeployResult
from mailfleet.remote.pyinfra import deploy as run
from mailfleet.verify.selection import chosen

_PROGRAM = Path("deploys/mta.py")


def program() -> Path:
    """The deploy that is run: the user's own one, else ours."""
    return _PROGRAM if _PROGRAM.exists() else DEPLOYS / _PROGRAM.name


@click.command()
@inventory_path
@limit
@as_document
def deploy(inventory_path: str, limit: str | None, as_document: bool) -> None:
    """Check the files and secrets, configure the hosts with pyinfra, and count them.

    The same as `pyinfra INVENTORY deploys/mta.py -y`, which ends with 0 where it reached no host at
    all. Exit code 0 only if every chosen host is as it should be.
    """
    fleet = inventory.read_for_deploy(inventory_path)
    hosts = [host.name for host in chosen(fleet, limit)]
    for host in chosen(fleet, limit):
        login_hashes(fleet, host)
    if templates_folder(inventory_path).is_dir():
        previews(fleet, chosen(fleet, limit))
    # A lab that is down is said before anything starts.
    inventory.read_connections(inventory_path)
    result = run(inventory_path, program(), hosts, limit)
    if as_document:
        click.echo(json.dumps({"fleet": fleet.name, **asdict(result)}, indent=2))
    else:
        _show(result)
    if not result.is_complete:
        raise click.exceptions.Exit(EXIT_FAILED)


def _show(result: DeployResult) -> None:
    words = {"changed": "green", "unchanged": None, "failed": "red", "missing": "red"}
    for word, colour in words.items():
        for name in getattr(result, word):
            text = "not reached" if word == "missing" else word
            click.echo(f"{click.style(f'{text:<11}', fg=colour)} {name}")
