"""One host's deploy: from the fleet that the inventory declared to the operations that make it so."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import SSHConnector

from mailfleet.deploy.login_hashes import login_hashes
from mailfleet.errors import MailfleetError
from mailfleet.facts.release import Machine, Release
from mailfleet.host import scanning, signing
from mailfleet.host.state import HostState
from mailfleet.host.target import Authority, Roots, Target
from mailfleet.host.uri_lists import KEY, UriList, checked_key, uri_lists
from mailfleet.model import Address, Fleet, Host
from mailfleet.model.names import domain_name
from mailfleet.operations import files, packages, services
from mailfleet.project import inventory
from mailfleet.secrets import optional_secret, variable

SUITES = ("bookworm", "trixie", "noble")


def current_target() -> Target:
    """The host that pyinfra is preparing, with its release, secrets and the lab's roots."""
    _no_delay()
    name = domain_name(host.name.rpartition("/")[2])
    try:
        machine: Machine | None = host.get_fact(Release)
        # None: the host could not be asked, and pyinfra has given it up already.
        if machine is None:
            return target_of(inventory.current(), name, None)
        return target_of(inventory.current(), name, machine.suite, machine.capacity)
    except MailfleetError as error:
        # pyinfra shows a traceback for every error but its own.
        raise PyinfraError(str(error)) from None


def target_of(
    fleet: Fleet, name: str, suite: str | None, capacity: scanning.Capacity | None = None
) -> Target:
    """The Target of one host of a fleet.

    MailfleetError where a secret is missing, or memory for what the host has to scan.
    """
    try:
        machine = fleet.host(name)
    except KeyError:
        raise MailfleetError(
            f"{name} is no host of the fleet that {fleet.source} declares",
            "name all hosts above the call of declare, which is the inventory's last line",
        ) from None
    if suite is not None and suite not in SUITES:
        raise MailfleetError(
            f"{name} runs {suite!r}, for which mailfleet has no configuration",
            f"install one of {', '.join(SUITES)}",
        )
    logins = login_hashes(fleet, machine)
    roots, authority = _lab_trust(fleet)
    target = Target(
        fleet, machine, suite or "", logins, roots, authority, uri_lists=_uri_lists(fleet, machine)
    )
    if capacity is None:
        return target
    scanning.check_memory(fleet, machine, capacity)
    signing.check_memory(fleet, machine, capacity)
    return replace(target, capacity=capacity)


def apply(
    state: HostState,
    addresses: tuple[Address, ...],
    *between: Callable[[], object],
    last: Callable[[], object] | None = None,
) -> None:
    """Packages, `between` (keys), files, services, then `last`: what needs all hosts' services.

    `addresses` are those that the host must have.
    """
    packages.install(name="Packages", wanted=state, addresses=addresses)
    for step in between:
        step()
    files.install(
        name="Configuration",
        tree="host",
        files=state.files,
        directories=state.directories,
        checks=state.checks,
        services=state.services,
        late=state.late_paths,
    )
    services.converge(
        name="Services", services=state.services, actions=state.actions, masked=state.masked
    )
    if last is not None:
        last()


def _uri_lists(fleet: Fleet, machine: Host) -> tuple[UriList, ...]:
    if machine.inbound_scan != "full":
        return ()
    key = optional_secret(KEY, lab=fleet.lab)
    checked = checked_key(key.reveal(), variable(KEY)) if key else None
    return uri_lists(lab=fleet.lab is not None, key=checked)


def _lab_trust(fleet: Fleet) -> tuple[Roots | None, Authority | None]:
    if fleet.lab is None:
        return None, None
    from mailfleet.lab import files as lab_files

    lab = lab_files(fleet.lab)
    roots = Roots(lab.root_hints.read_text("ascii"), lab.trust_anchor.read_text("ascii"))
    return roots, Authority(lab.acme_directory, lab.own_ca.read_text("ascii"))


def _no_delay() -> None:
    """Send each command at once: paramiko leaves Nagle's algorithm on, 40 ms for every command (D5)."""
    connector = host.connector
    if isinstance(connector, SSHConnector) and connector.client is not None:
        transport = connector.client.get_transport()
        if transport is not None and isinstance(transport.sock, socket.socket):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
