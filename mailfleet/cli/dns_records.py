"""`mailfleet dns records`: what a fleet's zones shall hold, without network or secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import click

from mailfleet.cli.options import as_document, domain, inventory_path, known_domain
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.host_values import HostValue, host_values
from mailfleet.dns.records.ptr import ptr_records
from mailfleet.dns.rrset import RRset
from mailfleet.model import Fleet
from mailfleet.project import inventory


@click.command("records")
@inventory_path
@domain
@as_document
def dns_records(inventory_path: str, domain: str | None, as_document: bool) -> None:
    """Print every record of the fleet as lines of a zone file; asks nobody.

    Values that only hosts know (DKIM keys, certificates) are named in comments.
    """
    fleet = inventory.read(inventory_path)
    known_domain(fleet, domain)
    zones, reverse, unknown = _wanted(fleet, domain)
    if as_document:
        content = {
            "fleet": fleet.name,
            "zones": {zone: list(map(_plain, rrsets)) for zone, rrsets in zones.items()},
            "reverse": list(map(_plain, reverse)),
            "known_to_hosts": list(map(asdict, unknown)),
        }
        click.echo(json.dumps(content, indent=2))
        return
    for zone, rrsets in zones.items():
        click.echo(f"; zone {zone}")
        for line in _lines(rrsets):
            click.echo(line)
        for value in unknown:
            if fleet.domain_of(value.name) in [d for d in fleet.domains if d.zone == zone]:
                click.echo(f"; {value.name}. IN {value.type}: {value.text}, of {value.host}")
        click.echo()
    click.echo("; reverse records, at the addresses' provider")
    for line in _lines(reverse):
        click.echo(line)


def _wanted(
    fleet: Fleet, domain: str | None
) -> tuple[dict[str, list[RRset]], list[RRset], list[HostValue]]:
    """Records by zone, reverse records, and what only hosts know; of all domains or one."""

    def is_in_scope(name: str) -> bool:
        owner = fleet.domain_of(name)
        return domain is None or (owner is not None and owner.name == domain)

    desired = records(fleet)
    zones = {
        zone: [record for record in wanted if is_in_scope(record.name)]
        for zone, wanted in desired.items()
    }
    reverse = [r.rrset for r in ptr_records(fleet).values() if is_in_scope(r.name)]
    unknown = [value for value in host_values(fleet) if is_in_scope(value.name)]
    return {zone: wanted for zone, wanted in zones.items() if wanted}, reverse, unknown


def _lines(rrsets: Iterable[RRset]) -> Iterator[str]:
    """Whole lines of a zone file (RFC 1035 §5.1)."""
    for record in rrsets:
        for value in record.values:
            yield f"{record.name}. {record.ttl} IN {record.type} {value}"


def _plain(record: RRset) -> dict[str, Any]:
    return {
        "name": record.name,
        "type": record.type,
        "ttl": record.ttl,
        "values": list(record.values),
    }
