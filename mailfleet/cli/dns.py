"""`mailfleet dns`: plan, publish and check the records of a fleet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from mailfleet import inventory
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING
from mailfleet.live import read_facts
from mailfleet.model import Fleet
from mailfleet.publishing import Keys, Publication, prepare, publish
from mailfleet.records.dkim import keys_of
from mailfleet.records.render import as_json, lines

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "red"}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _common(function: _Function) -> _Function:
    for option in (
        click.option("--json", "as_document", is_flag=True, help="Print one JSON document."),
        click.option("--domain", metavar="NAME", help="Only the records of dns/NAME.toml."),
        click.argument("inventory_path", metavar="INVENTORY"),
    ):
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
    """Show what a push would change; changes nothing."""
    publication = _prepare(inventory_path, domain, adopt, force)
    _print(publication, as_document, pushed=False)
    if publication.problems:
        raise click.exceptions.Exit(EXIT_FAILED)
    if expect_no_changes and not publication.is_empty:
        raise click.exceptions.Exit(EXIT_PENDING)


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
    """Publish the records: read, plan, audit, then change what differs."""
    publication = _prepare(inventory_path, domain, adopt, force)
    if not as_document:
        _print(publication, as_document, pushed=False)
    if not publication.problems:
        publish(publication, _progress)
    if as_document:
        _print(publication, as_document, pushed=not publication.problems)
    if publication.problems:
        raise click.exceptions.Exit(EXIT_FAILED)


@dns.command()
@_common
def check(inventory_path: str, domain: str | None, as_document: bool) -> None:
    """Ask every authoritative server and a resolver whether the records are there."""
    from mailfleet.checking import check as run

    fleet, keys = _read(inventory_path, domain)
    _progress("asking the authoritative servers ...")
    count, findings = run(fleet, keys, _resolver(fleet), domain)
    if as_document:
        found = [vars(finding) for finding in findings]
        _document({"fleet": fleet.name, "checked": count, "findings": found})
    else:
        for finding in findings:
            click.echo(f"{click.style('wrong', fg='red')} {finding}")
        good = click.style("nothing wrong", fg="green")
        click.echo(f"{count} checks: {f'{len(findings)} wrong' if findings else good}")
    if findings:
        raise click.exceptions.Exit(EXIT_FAILED)


def _read(path: str, domain: str | None) -> tuple[Fleet, Keys]:
    fleet = inventory.read_for_deploy(path)
    known = [one.name for one in fleet.domains]
    if domain is not None and domain not in known:
        message = f"{domain} is no domain of {path}; known are {', '.join(known)}"
        raise click.BadParameter(message, param_hint="--domain")
    if fleet.lab is not None:
        from mailfleet.lab import enter

        enter(fleet.lab)
    _progress(f"reading the DKIM keys of {len(fleet.hosts)} hosts ...")
    found = read_facts(path, "mailfleet.facts.dkim.DkimKeys")
    return fleet, {host: keys_of(keys) for host, keys in found.items()}


def _prepare(path: str, domain: str | None, adopt: tuple[str, ...], force: bool) -> Publication:
    for pattern in adopt:
        if "/" not in pattern:
            message = f"{pattern!r} names no type; write e.g. {pattern}/TXT"
            raise click.BadParameter(message, param_hint="--adopt")
    fleet, keys = _read(path, domain)
    _progress("reading and planning the zones ...")
    return prepare(fleet, keys, adopt=adopt, force=force, domain=domain)


def _resolver(fleet: Fleet) -> Any:
    import dns.resolver as resolvers

    if fleet.lab is None:
        return resolvers.Resolver()
    from mailfleet.lab import files

    resolver = resolvers.Resolver(configure=False)
    resolver.nameservers = [str(address) for address in files(fleet.lab).resolvers]
    return resolver


def _print(publication: Publication, as_document: bool, *, pushed: bool) -> None:
    if as_document:
        _document(
            {
                "zones": [
                    {"provider": entry.driver.label, **as_json(entry.plan)}
                    for entry in publication.zones
                ],
                "pending": not publication.is_empty and not pushed,
                "pushed": pushed,
                "problems": list(publication.problems),
                "notes": list(publication.notes),
            }
        )
        return
    for entry in publication.zones:
        click.secho(entry.title, bold=True)
        for line in lines(entry.plan):
            click.echo("  " + click.style(line, fg=_COLOURS.get(line[0])))
    _tell("note", "yellow", publication.notes)
    _tell("problem", "red", publication.problems)


def _tell(word: str, colour: str, texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(f"{click.style(word, fg=colour)}: {text}", err=True)


def _document(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2))


def _progress(text: str) -> None:
    click.echo(text, err=True)
