"""`mailfleet init`: a user's own repository, asked for on a terminal or said by options."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from mailfleet.errors import ConfigurationError, Problem
from mailfleet.model.names import domain_name
from mailfleet.project import inventory
from mailfleet.project.init import NewFleet, check_empty, files_of, staged
from mailfleet.project.new_fleet import Wishes, new_fleet, region_name, split_hosts

PROVIDERS = ("hetzner", "cloudflare", "rfc2136", "manual")
_INVENTORY = "inventories/prod"
_T = TypeVar("_T")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--domain", metavar="NAME", help="What mail is sent as, e.g. shop.example.")
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    help="Who serves the domain's zone. Default: manual, you are told what to enter. "
    "For octoDNS's providers write the table of docs/dns.md afterwards.",
)
@click.option("--server", metavar="ADDRESS", help="With rfc2136: the primary name server.")
@click.option("--key", metavar="NAME", help="With rfc2136: the name of the TSIG key.")
@click.option(
    "--region", "regions", multiple=True, metavar="NAME", help="Once for each. Default: eu."
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="REGION=ADDRESS[,ADDRESS]",
    help="Once for each server: its IPv4 and/or IPv6 address. A region without gets an example.",
)
def init(folder: Path, **options: Any) -> None:
    """Write a repository of your own to FOLDER, which must be new or empty.

    Asks for what no option says, where it runs on a terminal. Connects to nobody.
    """
    check_empty(folder)
    wishes = Wishes(**options)
    fleet = new_fleet(_asked(wishes) if is_asked() else wishes)
    texts = files_of(fleet, dt.datetime.now(dt.UTC).date())
    with staged(folder, texts) as stage:
        _check(stage)
    _tell(folder, fleet, sorted(texts))


def is_asked() -> bool:
    """Whether somebody sits at a terminal who can answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def _check(stage: Path) -> None:
    """ConfigurationError where the fleet that was asked for cannot be."""
    try:
        inventory.read(stage / _INVENTORY)
    except ConfigurationError as error:
        problems = [
            Problem(
                problem.file.replace(f"{stage}/", ""),
                problem.key,
                problem.text.replace(f"{stage}/", ""),
            )
            for problem in error.problems
        ]
        raise ConfigurationError(problems) from None


def _tell(folder: Path, fleet: NewFleet, names: list[str]) -> None:
    click.echo(f"{folder}: {len(names)} files")
    for name in names:
        click.echo(f"  {name}")
    if fleet.examples:
        click.echo(
            f"put the addresses of your servers into {_INVENTORY}: {', '.join(fleet.examples)}"
        )
    click.echo("the way to the first mail is in README.md; begin with")
    click.echo(f"  cd {folder} && mailfleet validate {_INVENTORY}")


def _asked(wishes: Wishes) -> Wishes:
    """The wishes with an answer for each that no option tells."""
    domain = wishes.domain or _ask("Domain that mail is sent as", domain_name)
    provider = wishes.provider or click.prompt(
        "Who serves its zone", type=click.Choice(PROVIDERS), default="manual"
    )
    server, key = wishes.server, wishes.key
    if provider == "rfc2136":
        server = server or _ask("Address of the primary name server", str)
        key = key or _ask("Name of the TSIG key", str)
    regions, hosts = wishes.regions, wishes.hosts
    if not regions and not hosts:
        regions = _ask("Regions, with blanks between them", _regions, default="eu")
    if not hosts:
        hosts = tuple(host for region in regions for host in _ask_hosts(region))
    return Wishes(domain, provider, server, key, regions, hosts)


def _ask_hosts(region: str) -> Iterator[str]:
    question = f"Addresses of the hosts in {region}, e.g. 203.0.113.10,2001:db8::10 203.0.113.20"
    answer = _ask(f"{question}\n(empty: one host with an example address)", _host_list, default="")
    return (f"{region}={addresses}" for addresses in answer)


def _regions(text: str) -> tuple[str, ...]:
    return tuple(map(region_name, text.replace(",", " ").split()))


def _host_list(text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    for word in words:
        split_hosts(word)
    return words


def _ask(question: str, convert: Callable[[str], _T], default: str | None = None) -> _T:
    def checked(text: str) -> _T:
        try:
            return convert(text)
        except ValueError as error:
            # click says it and asks again.
            raise click.UsageError(str(error)) from None

    answer: _T = click.prompt(
        question, value_proc=checked, default=default, show_default=bool(default)
    )
    return answer
