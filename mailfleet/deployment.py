"""One host's deploy: from the fleet that the inventory declared to the operations that make it so."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import SSHConnector

from mailfleet import inventory
from mailfleet.errors import MailfleetError
from mailfleet.facts.release import Codename
from mailfleet.hoststate import HostState
from mailfleet.model import Fleet, Stream
from mailfleet.model.names import domain_name
from mailfleet.operations import files, packages, services
from mailfleet.secrets import secret, variable
from mailfleet.target import Authority, Roots, Target

SUITES = ("bookworm", "trixie", "noble")
_CRYPT = re.compile(r"\$[0-9a-z]+\$[./A-Za-z0-9$=,+-]+")


def current_target() -> Target:
    """The host that pyinfra is preparing, with its release, secrets and the lab's roots."""
    _no_delay()
    name = domain_name(host.name.rpartition("/")[2])
    try:
        return target_of(inventory.current(), name, host.get_fact(Codename))
    except MailfleetError as error:
        # pyinfra shows a traceback for every error but its own.
        raise PyinfraError(str(error)) from None


def target_of(fleet: Fleet, name: str, suite: str | None) -> Target:
    """The Target of one host of a fleet; MailfleetError where a secret is missing."""
    machine = fleet.host(name)
    # None: the host could not be asked, and pyinfra has given it up already.
    if suite is not None and suite not in SUITES:
        raise MailfleetError(
            f"{name} runs {suite!r}, for which mailfleet has no configuration",
            f"install one of {', '.join(SUITES)}",
        )
    logins = {
        login: _login_hash(login, stream, fleet.lab)
        for _, stream in fleet.host_streams(machine)
        for login in stream.logins
    }
    roots, authority = _lab_trust(fleet)
    return Target(fleet, machine, suite or "", logins, roots, authority)


def apply(
    state: HostState, *between: Callable[[], object], last: Callable[[], object] | None = None
) -> None:
    """Packages, `between` (keys), files, services, then `last`: what needs all hosts' services."""
    packages.install(name="Packages", packages=state.packages)
    for step in between:
        step()
    files.install(
        name="Configuration",
        tree="host",
        files=state.files,
        directories=state.directories,
        checks=state.checks,
        services=state.services,
    )
    services.converge(name="Services", services=state.services, actions=state.actions)
    if last is not None:
        last()


def _login_hash(login: str, stream: Stream, lab: str | None) -> str:
    name = f"login-{login}"
    found = secret(name, f"password hash of the {stream.name} login {login}", lab=lab).reveal()
    if not _CRYPT.fullmatch(found):
        raise MailfleetError(
            f"{variable(name)} is no crypt(3) hash, which looks like $6$salt$hash",
            "make one with: openssl passwd -6",
        )
    return found


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
