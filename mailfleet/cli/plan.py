"""`mailfleet plan`: what is pending on hosts and zones, in one view."""

from __future__ import annotations

import json

import click

from mailfleet.cli.dns import show as show_zones
from mailfleet.cli.hosts import (
    deployable_hosts,
    document_of,
    is_pending,
    problems_of,
    read_pending,
    show_pending,
)
from mailfleet.cli.messages import step
from mailfleet.cli.options import as_document, expect_no_changes, inventory_path, limit
from mailfleet.dns.publish.by_hand import answers_of
from mailfleet.dns.publish.prepare import Publication, prepare
from mailfleet.dns.publish.report import as_json as zones_as_json
from mailfleet.dns.query.resolver import resolver_of
from mailfleet.dns.records.dane import certificates_of
from mailfleet.dns.records.dkim import keys_of
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING
from mailfleet.model import Fleet
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of
from mailfleet.remote.plan import PlansRead


@click.command()
@inventory_path
@limit
@as_document
@expect_no_changes
def plan(
    inventory_path: str, limit: str | None, as_document: bool, expect_no_changes: bool
) -> None:
    """Show what a deploy and a push would change; changes nothing on hosts and zones.

    Hosts are asked by the deploy itself, and zones read from their providers. Files are shown as a
    diff, without secrets. Exit code 1 where a host or a zone could not be read, or something is in
    the way. With --limit the keys of other hosts are not read, and their records stay as they are.
    """
    fleet = inventory.read_for_deploy(inventory_path)
    hosts = deployable_hosts(fleet, limit)
    environment_of(fleet).enter()
    read = read_pending(fleet, hosts, limit)
    publication = _publication(fleet, read)
    pending = is_pending(read) or not publication.is_empty
    if as_document:
        zones = {"pending": pending, "dns": zones_as_json(publication)}
        click.echo(json.dumps(document_of(fleet, read) | zones, indent=2))
    else:
        show_pending(read)
        show_zones(publication)
    if problems_of(read) or publication.problems:
        raise click.exceptions.Exit(EXIT_FAILED)
    if expect_no_changes and pending:
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
