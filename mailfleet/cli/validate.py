"""`mailfleet validate`: all that the files alone can tell, before anything connects."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from mailfleet.cli.options import as_document, inventory_path
from mailfleet.cli.previews import previews
from mailfleet.deploy.required_secrets import RequiredSecret, required_secrets
from mailfleet.model import Fleet
from mailfleet.model.checks import deploy_problems
from mailfleet.project import inventory
from mailfleet.project.folder import templates_folder
from roles.profiles import MTA


@click.command()
@inventory_path
@as_document
def validate(inventory_path: str, as_document: bool) -> None:
    """Read the inventory and its domain files, and tell everything that is wrong with them.

    Asks nobody and needs no secrets: those that are not set are listed, which is no error. Exit
    code 2 where something is wrong. Example addresses are no error either: they only forbid to
    connect.
    """
    fleet = inventory.read(inventory_path)
    if templates_folder(inventory_path).is_dir():
        previews(fleet, fleet.hosts)
    secrets = required_secrets(fleet, MTA)
    examples = deploy_problems(fleet)
    if as_document:
        content = {
            **_counts(fleet),
            "secrets": list(map(asdict, secrets)),
            "before_a_deploy": [vars(problem) for problem in examples],
        }
        click.echo(json.dumps(content, indent=2))
        return
    counts = _counts(fleet)
    listed = ", ".join(f"{n} {what}" for what, n in counts.items() if isinstance(n, int))
    click.echo(f"{inventory_path}: {click.style('nothing wrong', fg='green')} ({listed})")
    if examples:
        keys = dict.fromkeys(problem.key for problem in examples)
        click.echo(f"before a deploy: replace the example addresses of {', '.join(keys)}")
    for secret in secrets:
        if not secret.is_set:
            click.echo(f"not set here: {_line(secret)}")


def _counts(fleet: Fleet) -> dict[str, Any]:
    return {
        "fleet": fleet.name,
        "regions": len(fleet.regions),
        "hosts": len(fleet.hosts),
        "domains": len(fleet.domains),
        "streams": len(fleet.streams),
    }


def _line(secret: RequiredSecret) -> str:
    return f"{secret.variable}: {secret.purpose}"
