"""`mailfleet probe`: one mail for each host, stream and IP family, end to end."""

from __future__ import annotations

import json

import click

from mailfleet.cli.options import as_document, inventory_path, limit
from mailfleet.errors import EXIT_FAILED, ConfigurationError, Problem
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of
from mailfleet.verify.probe import Verdict, probes, run
from mailfleet.verify.selection import chosen


@click.command()
@inventory_path
@limit
@as_document
def probe(inventory_path: str, limit: str | None, as_document: bool) -> None:
    """Send one mail per host, stream and IP family, and show what the receiver judged.

    Exit code 0 only if every mail arrived with spf=pass, dkim=pass and dmarc=pass.
    """
    fleet = inventory.read_for_deploy(inventory_path)
    if not environment_of(fleet).has_inbox:
        text = "a probe needs a receiver whose verdict it can read, which only a lab has"
        raise ConfigurationError([Problem(inventory_path, "lab", text)])
    chosen(fleet, limit)
    wanted = probes(fleet, limit)
    verdicts = []
    for verdict in run(fleet, wanted):
        verdicts.append(verdict)
        if not as_document:
            _show(verdict)
    good = sum(verdict.good for verdict in verdicts)
    if as_document:
        click.echo(json.dumps({"probes": [v.to_json() for v in verdicts]}, indent=2))
    else:
        click.echo(f"{good} of {len(verdicts)} probes arrived and passed", err=True)
    if good < len(verdicts):
        raise SystemExit(EXIT_FAILED)


def _show(verdict: Verdict) -> None:
    mark = click.style("ok  ", fg="green") if verdict.good else click.style("FAIL", fg="red")
    item = verdict.probe
    click.echo(f"{mark} {item.host:<20} {item.stream:<14} IPv{item.version}  {verdict.text}")
