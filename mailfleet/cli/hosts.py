"""What `deploy` and `plan` share: the chosen hosts, and what is pending on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from mailfleet.cli.messages import step, tell
from mailfleet.host.plan.render import as_json, lines, summary
from mailfleet.host.plan.report import HostReport
from mailfleet.host.resources import DEPLOYS
from mailfleet.model import Fleet, Host
from mailfleet.project import inventory
from mailfleet.project.login_hashes import login_hashes
from mailfleet.remote.plan import PlansRead, read_plans
from mailfleet.verify.selection import chosen

_PROGRAM = Path("deploys/mta.py")
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "cyan"}


def program() -> Path:
    """The deploy that is run: the user's own one, else ours."""
    return _PROGRAM if _PROGRAM.exists() else DEPLOYS / _PROGRAM.name


def deployable_hosts(fleet: Fleet, limit: str | None) -> tuple[Host, ...]:
    """The hosts that `limit` names; MailfleetError where a login's hash is missing, or their lab is down."""
    hosts = chosen(fleet, limit)
    for host in hosts:
        login_hashes(fleet, host)
    inventory.read_connections(fleet.source)
    return hosts


def read_pending(fleet: Fleet, hosts: Iterable[Host], limit: str | None) -> PlansRead:
    """Ask hosts, which `limit` names, what a deploy would change; nothing is written there."""
    names = [host.name for host in hosts]
    step(f"asking {', '.join(names)}")
    return read_plans(fleet.source, program(), names, limit, _host_read(names))


def is_pending(read: PlansRead) -> bool:
    """Whether a deploy would change a host that could be asked."""
    return any(not report.plan.is_empty for report in read.reports.values())


def problems_of(read: PlansRead) -> list[str]:
    """Why a deploy would not bring all hosts where they shall be."""
    unread = [f"{name} could not be asked: {reason}" for name, reason in read.unread.items()]
    return unread + [
        f"{name}: {problem}" for name, report in read.reports.items() for problem in report.problems
    ]


def document_of(fleet: Fleet, read: PlansRead) -> dict[str, Any]:
    """The hosts' part of a JSON document."""
    return {
        "fleet": fleet.name,
        "pending": is_pending(read),
        "hosts": {
            name: {**as_json(report.plan), "problems": report.problems, "notes": report.notes}
            for name, report in read.reports.items()
        },
        "unread": read.unread,
        "problems": problems_of(read),
    }


def show_pending(read: PlansRead) -> None:
    """Print what is pending on each host, then notes and problems on stderr."""
    for name, report in read.reports.items():
        click.secho(f"{name}: {summary(report.plan)}", bold=True)
        _show_host(report)
    tell("note", "yellow", (f"{n}: {text}" for n, r in read.reports.items() for text in r.notes))
    tell("problem", "red", problems_of(read))


def _show_host(report: HostReport) -> None:
    for line in lines(report.plan):
        # Lines of a diff are indented.
        sign = line[4:5] if line.startswith("    ") else line[:1]
        click.secho(f"  {line}", fg=_COLOURS.get(sign))


def _host_read(names: list[str]) -> Callable[[str], None]:
    """Tells of each host that has answered, and how many have."""
    count = itertools.count(1)
    return lambda name: step(f"read {name} ({next(count)} of {len(names)})")
