"""`mailfleet render`: every file of every host at its path, without network or secrets."""

from __future__ import annotations

from pathlib import Path

import click

from mailfleet.cli.options import inventory_path, limit
from mailfleet.cli.previews import previews
from mailfleet.errors import MailfleetError
from mailfleet.host.releases import RELEASES
from mailfleet.host.state import HostState
from mailfleet.host.templates import recorded
from mailfleet.project import inventory
from mailfleet.verify.selection import chosen


@click.command()
@inventory_path
@click.argument("folder", type=click.Path(path_type=Path))
@limit
@click.option(
    "--release",
    type=click.Choice(list(RELEASES)),
    help="The release of all hosts. Default: what the inventory says of each, else bookworm.",
)
def render(inventory_path: str, folder: Path, limit: str | None, release: str | None) -> None:
    """Write the files that hosts would get to FOLDER/HOST/PATH; asks nobody.

    FOLDER must be new or empty, so that two of them can be compared. Secrets are written as ***.
    What a host makes itself (keys, certificates) is not there. Each file that is made from a
    template of your own is named.
    """
    fleet = inventory.read(inventory_path)
    hosts = chosen(fleet, limit)
    with recorded() as own:
        states = previews(fleet, hosts, release)
    _make(folder)
    for name, state in states.items():
        _write(state, folder / name)
        click.echo(f"{folder / name}: {len(state.files)} files")
        for file in state.files:
            if file.content in own:
                click.echo(f"  {file.path} is made from {own[file.content]}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = next(folder.iterdir(), None) is None
    except OSError as error:
        problem = f"{folder} cannot be written: {error.strerror}"
        raise MailfleetError(problem, "name a folder that is new or empty") from None
    if not is_empty:
        problem = f"{folder} is not empty, and what is there would mix with what is written"
        raise MailfleetError(problem, "name a folder that is new or empty")


def _write(state: HostState, folder: Path) -> None:
    for file in state.files:
        path = folder / file.path.lstrip("/")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        except OSError as error:
            raise MailfleetError(f"{path} cannot be written: {error.strerror}") from None
