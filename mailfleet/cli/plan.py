"""`mailfleet plan`: what is pending on hosts and zones, in one view."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from mailfleet.cli.deploy import program
from mailfleet.cli.dns import show as show_zones
from mailfleet.cli.dns import step
from mailfleet.cli.options import as_document, inventory_path, limit
from mailfleet.dns.publish.by_hand import answers_of
from mailfleet.dns.publish.prepare import Publication, prepare
from mailfleet.dns.publish.report import as_json as zones_as_json
from mailfleet.dns.query.resolver import resolver_of
from mailfleet.dns.records.dane import certificates_of
from mailfleet.dns.records.dkim import keys_of
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING
from mailfleet.host.plan.render import as_json, lines, summary
from mailfleet.host.plan.report import HostReport
from mailfleet.model import Fleet
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of
from mailfleet.project.login_hashes import login_hashes
from mailfleet.remote.plan import PlansRead, read_plans
from mailfleet.verify.selection import chosen

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "cyan"}


@click.command()
@inventory_path
@limit
@as_document
@click.option(
    "--expect-no-changes", is_flag=True, help="End with exit code 3 if something is pending."
)
def plan(
    inventory_path: str, limit: str | None, as_document: bool, expect_no_changes: bool
) -> None:
    """Show what a deploy and a push would change; changes nothing on hosts and zones.

    Hosts are asked by the deploy itself, and zones read from their providers. Files are shown as a
    diff, without secrets. Exit code 1 where a host or a zone could not be read, or something is in
    the way. With --limit the keys of other hosts are not read, and their records stay as they are.
    """
    fleet = inventory.read_for_deploy(inventory_path)
    hosts = chosen(fleet, limit)
    for host in hosts:
        login_hashes(fleet, host)
    # A lab that is down is said before anything starts.
    inventory.read_connections(inventory_path)
    environment_of(fleet).enter()
    names = [host.name for host in hosts]
    step(f"asking {', '.join(names)}")
    read = read_plans(inventory_path, program(), names, limit, _host_read(names))
    publication = _publication(fleet, read)
    problems = _problems(read)
    if as_document:
        click.echo(json.dumps(_document(fleet, read, publication, problems), indent=2))
    else:
        _show(read, publication, problems)
    if problems or publication.problems:
        raise click.exceptions.Exit(EXIT_FAILED)
    if expect_no_changes and _is_pending(read, publication):
        raise click.exceptions.Exit(EXIT_PENDING)
    if expect_no_changes and publication.unknown:
        raise click.exceptions.Exit(EXIT_FAILED)


def _publication(fleet: Fleet, read: PlansRead) -> Publication:
    keys = {name: one.public_keys for name, one in read.reports.items() if one.public_keys}
    resolver = resolver_of(fleet)
    return prepare(
        fleet,
        {name: keys_of(one["dkim"]) for name, one in keys.items()},
        lookup=resolver,
        certificates=certificates_of(keys),
        answers=answers_of(resolver),
        progress=step,
    )


def _is_pending(read: PlansRead, publication: Publication) -> bool:
    hosts = any(not report.plan.is_empty for report in read.reports.values())
    return hosts or not publication.is_empty


def _problems(read: PlansRead) -> list[str]:
    """Why a deploy would not bring all hosts where they shall be."""
    unread = [f"{name} could not be asked: {reason}" for name, reason in read.unread.items()]
    return unread + [
        f"{name}: {problem}" for name, report in read.reports.items() for problem in report.problems
    ]


def _document(
    fleet: Fleet, read: PlansRead, publication: Publication, problems: list[str]
) -> dict[str, Any]:
    return {
        "fleet": fleet.name,
        "pending": _is_pending(read, publication),
        "hosts": {
            name: {**as_json(report.plan), "problems": report.problems, "notes": report.notes}
            for name, report in read.reports.items()
        },
        "unread": read.unread,
        "problems": problems,
        "dns": zones_as_json(publication),
    }


def _show(read: PlansRead, publication: Publication, problems: list[str]) -> None:
    for name, report in read.reports.items():
        click.secho(f"{name}: {summary(report.plan)}", bold=True)
        _show_host(report)
    _tell("note", "yellow", (f"{n}: {text}" for n, r in read.reports.items() for text in r.notes))
    _tell("problem", "red", problems)
    show_zones(publication)


def _show_host(report: HostReport) -> None:
    for line in lines(report.plan):
        # Lines of a diff are indented.
        sign = line[4:5] if line.startswith("    ") else line[:1]
        click.secho(f"  {line}", fg=_COLOURS.get(sign))


def _tell(word: str, colour: str, texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(f"{click.style(word, fg=colour)}: {text}", err=True)


def _host_read(names: list[str]) -> Callable[[str], None]:
    """Tells of each host that has answered, and how many have."""
    count = itertools.count(1)
    return lambda name: step(f"read {name} ({next(count)} of {len(names)})")
