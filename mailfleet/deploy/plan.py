"""A run of pyinfra that changes nothing: what a deploy would do to the host that it is preparing.

`mailfleet plan` starts the very deploy that users run, with PLAN as data. So the hosts are reached
in the same way, and what is compared is what would be deployed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyinfra import host, state

from mailfleet.facts.files import FileContents, Tree
from mailfleet.facts.preconditions import PreconditionState
from mailfleet.facts.programs import Owners
from mailfleet.facts.public_keys import HostPublicKeys, PublicKeys
from mailfleet.facts.services import Services
from mailfleet.facts.tls import CHAIN, KEY, Tls
from mailfleet.host.firewall_rules import foreign_rules
from mailfleet.host.observed import Observed
from mailfleet.host.plan.host import HOST, files_of, plan_host, with_contents
from mailfleet.host.plan.report import HostReport, dump
from mailfleet.host.state import HostState
from mailfleet.model import Address
from mailfleet.model.names import domain_name
from mailfleet.operations import obstacles, packages


def report_plan(wanted: HostState, addresses: tuple[Address, ...], folder: str) -> None:
    """Write to FOLDER/NAME.json what a deploy of `wanted` would change; nothing where a question failed."""
    name = domain_name(host.name.rpartition("/")[2])
    report = _report(name, wanted, addresses)
    if host in state.failed_hosts:
        return
    path = Path(folder, f"{name}.json")
    # Whoever waits for it must not read half of it.
    part = path.with_suffix(".part")
    part.write_bytes(dump(report))
    part.rename(path)


def _report(name: str, wanted: HostState, addresses: tuple[Address, ...]) -> HostReport:
    before = packages.preconditions(wanted)
    holders = obstacles.holders(wanted, before, addresses)
    owners = _fact(Owners, pairs=tuple(holder.key for holder in holders)) if holders else {}
    keys: HostPublicKeys = _fact(PublicKeys)
    observed = _observed(wanted, before, obstacles.mail_servers(holders, owners), keys)
    plan = plan_host(wanted, observed, dt.datetime.now(dt.UTC))
    paths = plan.comparable
    contents = _fact(FileContents, paths=paths) if paths else {}
    return HostReport(
        name,
        with_contents(plan, wanted, observed, contents),
        tuple(obstacles.problems(wanted, addresses, before, holders, owners)),
        (*foreign_rules(wanted, before.firewall), *plan.keys.notes),
        {**keys},
    )


def _observed(
    wanted: HostState,
    before: PreconditionState,
    mail_servers: tuple[str, ...],
    keys: HostPublicKeys,
) -> Observed:
    observed = Observed(
        before.packages,
        before.orphans,
        mail_servers,
        _fact(Tls, chain=CHAIN, key=KEY),
        tuple(keys["dkim"]),
        services=_fact(Services, units=wanted.units),
    )
    trees = {}
    for tree, files in files_of(wanted, observed).items():
        folders = wanted.directories if tree == HOST else ()
        paths = (*(file.path for file in files), *(folder.path for folder in folders))
        trees[tree] = _fact(Tree, tree=tree, paths=paths)
    return replace(observed, trees=trees)


def _fact(fact: Any, **arguments: object) -> Any:
    """The value of a fact; its default where the host could not be asked, and was given up."""
    value = host.get_fact(fact, **arguments)
    return fact().default() if value is None else value
