"""`mailfleet verify`: the suite, and a user's own checks, against the hosts of an inventory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import TextIO

import click

from mailfleet.cli.options import as_document, inventory_path, limit
from mailfleet.errors import EXIT_FAILED, MailfleetError
from mailfleet.project import inventory
from mailfleet.verify.run import Check, run
from mailfleet.verify.selection import chosen

_PASSED = click.style("ok    ", fg="green")
_FAILED = click.style("FAILED", fg="red")
_SKIPPED = click.style("skip  ", fg="yellow")


@click.command()
@inventory_path
@limit
@as_document
def verify(inventory_path: str, limit: str | None, as_document: bool) -> None:
    """Compare live hosts and their DNS with the plan; changes nothing.

    The testinfra tests in checks/, beside inventories/, are yours: each `def test_x(host)` is run once for
    every host. Exit code 0 only if every check of every chosen host has passed; one of yours may skip itself.
    """
    fleet = inventory.read_for_deploy(inventory_path)
    hosts = [host.name for host in chosen(fleet, limit)]
    # The connection data too, so that a lab that is down is said before anything starts.
    inventory.read_connections(inventory_path)
    click.echo(f"reading {', '.join(hosts)} ...", err=True)
    lines = _Lines()
    checks = run(inventory_path, limit, _progress if as_document else lines.show, _host_read(hosts))
    lines.close()
    silent = sorted(set(hosts) - {check.host for check in checks})
    if silent:
        raise MailfleetError(f"no check was run on {', '.join(silent)}")
    passed, failed, skipped = (
        sum(check.outcome == outcome for check in checks)
        for outcome in ("passed", "failed", "skipped")
    )
    if as_document:
        counts = {"passed": passed, "failed": failed, "skipped": skipped}
        results = [check.to_json() for check in checks]
        click.echo(json.dumps({"fleet": fleet.name, **counts, "checks": results}, indent=2))
    else:
        left_out = f", {skipped} left out" if skipped else ""
        click.echo(
            f"{len(checks)} checks on {len(hosts)} hosts: {passed} passed, {failed} failed{left_out}"
        )
    if any(
        check.outcome == "failed" or not (check.own or check.outcome == "passed")
        for check in checks
    ):
        raise SystemExit(EXIT_FAILED)


class _Lines:
    """One line for each subject of a host that is as it should be, and every problem in full."""

    def __init__(self) -> None:
        self._open: list[Check] = []

    def show(self, check: Check) -> None:
        """Take the next check."""
        if self._open and (self._open[0].host, self._open[0].subject) != (
            check.host,
            check.subject,
        ):
            self.close()
        self._open.append(check)

    def close(self) -> None:
        """Print what has not been printed yet."""
        checks, self._open = self._open, []
        for check in checks:
            if check.outcome == "failed":
                click.echo(f"{_FAILED} {check.host}  {check.name}: {check.title}")
                for line in check.message.splitlines():
                    click.echo(f"       {line}")
        skipped = [check for check in checks if check.outcome == "skipped"]
        if skipped:
            click.echo(f"{_SKIPPED} {skipped[0].host}  {skipped[0].subject}: {skipped[0].message}")
        if checks and all(check.outcome == "passed" for check in checks):
            names = ", ".join(check.name.partition(".")[2] for check in checks)
            click.echo(f"{_PASSED} {checks[0].host}  {checks[0].subject}: {names}")


def _host_read(hosts: list[str]) -> Callable[[str, TextIO], None]:
    """Prints the name of each host that has been read, and how many that are."""
    count = itertools.count(1)
    return lambda name, stream: click.echo(f"read {name} ({next(count)} of {len(hosts)})", stream)


def _progress(check: Check) -> None:
    if check.outcome == "failed":
        click.echo(f"failed: {check.host} {check.name}", err=True)
