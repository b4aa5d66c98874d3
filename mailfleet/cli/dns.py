"""`mailfleet dns`: plan, publish and check the records of a fleet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mailfleet.cli.dns_records import dns_records
from mailfleet.cli.messages import step, tell
from mailfleet.cli.options import as_document, domain, inventory_path, known_domain
from mailfleet.dns.plan.render import Row, columns, rows, zone_lines
from mailfleet.dns.publish.by_hand import answers_of
from mailfleet.dns.publish.prepare import (
    Keys,
    Publication,
    PublishError,
    ZoneOutcome,
    prepare,
    publish,
)
from mailfleet.dns.publish.report import as_json
from mailfleet.dns.query.resolver import resolver_of
from mailfleet.dns.records.dane import Certificates, certificates_of
from mailfleet.dns.records.dkim import keys_of
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING, MailfleetError
from mailfleet.model import Fleet
from mailfleet.model.addresses import parse_address
from mailfleet.model.checks import deploy_problems
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of
from mailfleet.remote.public_keys import read_public_keys
from mailfleet.remote.ssh import SshConnector

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "red"}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _common(function: _Function) -> _Function:
    for option in (as_document, domain, inventory_path):
        function = option(function)
    return function


def _planning(function: _Function) -> _Function:
    for option in (
        click.option(
            "--adopt",
            multiple=True,
            metavar="NAME/TYPE",
            help="Make a foreign record that is in the way ours; `*` stands for any characters.",
        ),
        click.option("--force", is_flag=True, help="Allow a plan that changes an unusual share."),
    ):
        function = option(function)
    return function


@click.group()
def dns() -> None:
    """Plan, publish and check a fleet's DNS records."""


dns.add_command(dns_records)


@dns.command()
@_common
@_planning
@click.option(
    "--expect-no-changes", is_flag=True, help="End with exit code 3 if something would change."
)
def plan(
    inventory_path: str,
    domain: str | None,
    as_document: bool,
    adopt: tuple[str, ...],
    force: bool,
    expect_no_changes: bool,
) -> None:
    """Show what a push would change; changes nothing.

    Hosts with example addresses are not asked for their keys.
    """
    publication = _prepare(inventory_path, domain, adopt, force, examples=True)
    _print(publication, as_document, None)
    if publication.problems:
        raise click.exceptions.Exit(EXIT_FAILED)
    if expect_no_changes and not publication.is_empty:
        raise click.exceptions.Exit(EXIT_PENDING)
    if expect_no_changes and publication.unknown:
        raise click.exceptions.Exit(EXIT_FAILED)


@dns.command()
@_common
@_planning
def push(
    inventory_path: str,
    domain: str | None,
    as_document: bool,
    adopt: tuple[str, ...],
    force: bool,
) -> None:
    """Publish the records: read, plan, audit, change what differs, then read it back."""
    publication = _prepare(inventory_path, domain, adopt, force)
    if not as_document:
        _print(publication, as_document, None)
    outcome: tuple[ZoneOutcome, ...] = ()
    failure: MailfleetError | None = None
    try:
        outcome = publish(publication, _progress)
    except PublishError as error:
        outcome, failure = error.outcome, error
    except MailfleetError as error:
        failure = error
    if as_document:
        _print(publication, as_document, outcome)
    if failure is not None:
        if not as_document:
            raise failure
        raise click.exceptions.Exit(EXIT_FAILED)


@dns.command()
@_common
@click.option(
    "--resolver",
    "resolvers",
    multiple=True,
    metavar="ADDRESS",
    help="Ask this resolver, e.g. a public one; repeatable. Default: this machine's.",
)
def check(
    inventory_path: str, domain: str | None, as_document: bool, resolvers: tuple[str, ...]
) -> None:
    """Ask every authoritative server and the resolvers whether mail from the fleet is believed."""
    from mailfleet.dns.checks.run import check as run

    for address in resolvers:
        try:
            parse_address(address)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--resolver") from None
    fleet, keys, certificates = _read(inventory_path, domain)
    asked = [resolver_of(fleet, address) for address in resolvers or (None,)]
    _progress(f"asking the authoritative servers and {', '.join(r.label for r in asked)} ...")
    report = run(fleet, keys, asked, domain, certificates)
    if as_document:
        _document({"fleet": fleet.name, **report.to_json()})
    else:
        for finding in report.findings:
            click.echo(f"{click.style('wrong', fg='red')} {finding}")
        tell("note", "yellow", report.notes)
        count = len(report.findings)
        good = click.style("nothing wrong", fg="green")
        click.echo(f"{report.checked} checks: {f'{count} wrong' if count else good}")
    if report.findings:
        raise click.exceptions.Exit(EXIT_FAILED)


def _read(
    path: str, domain: str | None, *, examples: bool = False
) -> tuple[Fleet, Keys, Certificates]:
    fleet = inventory.read(path) if examples else inventory.read_for_deploy(path)
    known_domain(fleet, domain)
    if deploy_problems(fleet):
        return fleet, {}, {}
    environment_of(fleet).enter()
    _progress(f"reading the public keys of {len(fleet.hosts)} hosts ...")
    with SshConnector.of_fleet(fleet) as connector:
        read = read_public_keys(connector, [host.name for host in fleet.hosts])
    for name, reason in read.unread.items():
        _progress(f"{name} could not be asked: {reason}")
    if not read.keys:
        raise MailfleetError(
            f"no host of {path} could be asked for its keys", f"try: pyinfra {path} exec -- uptime"
        )
    keys = {name: keys_of(one["dkim"]) for name, one in read.keys.items()}
    return fleet, keys, certificates_of(read.keys)


def _prepare(
    path: str,
    domain: str | None,
    adopt: tuple[str, ...],
    force: bool,
    *,
    examples: bool = False,
) -> Publication:
    for pattern in adopt:
        if "/" not in pattern:
            message = f"{pattern!r} names no type; write e.g. {pattern}/TXT"
            raise click.BadParameter(message, param_hint="--adopt")
    fleet, keys, certificates = _read(path, domain, examples=examples)
    _progress("reading and planning the zones ...")
    resolver = resolver_of(fleet)
    return prepare(
        fleet,
        keys,
        adopt=adopt,
        force=force,
        domain=domain,
        lookup=resolver,
        certificates=certificates,
        answers=answers_of(resolver),
        progress=step,
    )


def _print(
    publication: Publication, as_document: bool, outcome: tuple[ZoneOutcome, ...] | None
) -> None:
    """Show the plan; in a document also what became of it, once `outcome` is known."""
    if as_document:
        _document(as_json(publication, outcome))
    else:
        show(publication)


def show(publication: Publication) -> None:
    """Print the plan of each zone, then what else is to be said."""
    width = shutil.get_terminal_size((120, 24)).columns
    for entry in publication.zones:
        click.secho(entry.title, bold=True)
        if entry.by_hand:
            for line in zone_lines(entry.plan):
                click.secho(f"  {line}", fg=_COLOURS.get(line[0]))
            continue
        for row in rows(entry.plan):
            _print_row(row, width)
    tell("note", "yellow", (*publication.notes, *publication.unknown))
    tell("problem", "red", publication.problems)


def _print_row(row: Row, width: int) -> None:
    if row.new is None:
        click.secho(f"  {row.sign} {row.text}", fg=_COLOURS.get(row.sign))
        return
    minus, plus = ("-", "+") if row.sign != " " else (" ", " ")
    for old, new in columns(row.text, row.new, width - 8):
        left = click.style(f"{minus if old.strip() else ' '} {old}", fg=_COLOURS.get(minus))
        right = click.style(f"{plus if new else ' '} {new}", fg=_COLOURS.get(plus))
        click.echo(f"    {left} {right}".rstrip())


def _document(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))


def _progress(text: str) -> None:
    click.echo(text, err=True)
