"""Arguments and options that several commands share."""

from __future__ import annotations

import click

from mailfleet.model import Fleet
from mailfleet.model.names import domain_name


def _canonical(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """A domain as the fleet knows it, however it is written."""
    if not name:
        return None
    try:
        return domain_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--domain") from None


inventory_path = click.argument("inventory_path", metavar="INVENTORY")
as_document = click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
limit = click.option("--limit", metavar="GROUP", help="Only hosts of this region, or one host.")
expect_no_changes = click.option(
    "--expect-no-changes", is_flag=True, help="End with exit code 3 if something is pending."
)
domain = click.option(
    "--domain", metavar="NAME", callback=_canonical, help="Only the records of dns/NAME.toml."
)


def known_domain(fleet: Fleet, name: str | None) -> None:
    """BadParameter where `--domain` names none of the fleet's."""
    known = [entry.name for entry in fleet.domains]
    if name is not None and name not in known:
        message = f"{name} is no domain of {fleet.source}; known are {', '.join(known)}"
        raise click.BadParameter(message, param_hint="--domain")
