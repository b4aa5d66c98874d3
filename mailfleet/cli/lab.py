"""`mailfleet lab`: a closed network of real hosts on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from mailfleet import lab as engine
from mailfleet.errors import ConfigurationError, MailfleetError, Problem
from mailfleet.model import Fleet
from mailfleet.project import inventory

_DEFAULT_INVENTORY = "inventories/lab"


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--name",
        default=lambda: os.environ.get("MAILFLEET_LAB", engine.DEFAULT_NAME),
        show_default="$MAILFLEET_LAB or lab",
        help="Which lab; names keep several apart.",
    )(function)


@click.group()
def lab() -> None:
    """A closed network of real Debian hosts on this machine: no mail can leave it."""


@lab.command()
@click.argument("inventory_path", metavar="[INVENTORY]", default=_DEFAULT_INVENTORY)
@_named
def up(inventory_path: str, name: str) -> None:
    """Start the lab that INVENTORY (default inventories/lab) describes; once is enough."""
    engine.up(name, spec_of(_fleet(inventory_path, name)), lambda line: click.echo(line, err=True))
    click.echo(f"next: {_environment(name)}pyinfra {inventory_path} deploys/mta.py", err=True)


@lab.command()
@_named
def down(name: str) -> None:
    """Remove the lab: hosts, namespaces, mounts. What it had cached stays for the next one."""
    engine.down(name, lambda line: click.echo(line, err=True))


@lab.command()
@_named
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
def status(name: str, as_document: bool) -> None:
    """Show which hosts of the lab run and answer."""
    lab_status = engine.status(name)
    if as_document:
        click.echo(json.dumps(lab_status.to_json(), indent=2))
        return
    click.echo(f"lab {lab_status.name}: {lab_status.state}")
    for machine in lab_status.machines:
        state = "answers" if machine.ssh else "runs" if machine.running else "is down"
        addresses = ", ".join(str(address) for address in machine.addresses)
        click.echo(f"  {machine.name:<24} {machine.suite:<9} {state:<8} {addresses}")


@lab.command(context_settings={"ignore_unknown_options": True})
@_named
@click.argument("host")
@click.argument("command", nargs=-1)
def ssh(name: str, host: str, command: tuple[str, ...]) -> None:
    """Log in to HOST as root, or run COMMAND there. The start of a name is enough."""
    argv = [*engine.ssh_command(name, host), *command]
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def spec_of(fleet: Fleet) -> engine.LabSpec:
    """The lab that a fleet needs: its hosts with all their addresses, and its zones."""
    machines = tuple(
        engine.Machine(host.name, host.suite, host.region, host.all_addresses)
        for host in fleet.hosts
    )
    return engine.LabSpec(machines, tuple(dict.fromkeys(d.zone for d in fleet.domains)))


def _fleet(path: str, name: str) -> Fleet:
    os.environ["MAILFLEET_LAB"] = name  # inventories/lab reads it
    fleet = inventory.read(path)
    if fleet.lab is None:
        raise ConfigurationError([Problem(path, "lab", 'is not set; declare(..., lab="lab")')])
    if fleet.lab != name:
        raise MailfleetError(
            f"{path} belongs to lab {fleet.lab}, not {name}",
            f"let it read MAILFLEET_LAB, or use --name {fleet.lab}",
        )
    return fleet


def _environment(name: str) -> str:
    return "" if name == engine.DEFAULT_NAME else f"MAILFLEET_LAB={name} "
