"""One host's deploy: from the fleet that the inventory declared to the operations that make it so."""

from __future__ import annotations

import socket

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import SSHConnector

from mailfleet.deploy.plan import report_plan
from mailfleet.deploy.target import state_of, target_of
from mailfleet.errors import MailfleetError
from mailfleet.facts.release import Machine, Release
from mailfleet.host.plan.host import HOST
from mailfleet.host.plan.report import PLAN
from mailfleet.host.profile import Profile
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from mailfleet.model import Address
from mailfleet.model.names import domain_name
from mailfleet.operations import dkim, files, packages, services, tls
from mailfleet.project import inventory


def current_target() -> Target:
    """The host that pyinfra is preparing, with its release, and the secrets and trust of its environment."""
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


def run(profile: Profile) -> None:
    """Bring the host that pyinfra is preparing to what its profile says: all that a deploy file calls.

    PyinfraError where a template of the user's fails.
    """
    target = current_target()
    try:
        state = state_of(profile, target)
    except MailfleetError as error:
        raise PyinfraError(str(error)) from None
    apply(state, target.host.all_addresses)


def apply(state: HostState, addresses: tuple[Address, ...]) -> None:
    """Bring the host that pyinfra is preparing to `state`; `addresses` are those that it must have.

    The authority's certificate comes last: it asks the web servers of all hosts. With the data PLAN
    the host is only asked what would change.
    """
    if folder := host.data.get(PLAN):
        report_plan(state, addresses, folder)
        return
    packages.install(name="Packages", wanted=state, addresses=addresses)
    need = tls.OrderNeeded()
    if state.certificate is not None:
        tls.self_signed(
            name="TLS | Certificate to start with",
            wanted=state.certificate,
            affects=state.certificate_readers,
            need=need,
        )
    dkim.sign(name="DKIM | Keys and signing tables", wanted=state.keys, signers=state.signers)
    files.install(
        name="Configuration",
        tree=HOST,
        files=state.files,
        directories=state.directories,
        checks=state.checks,
        services=state.services,
        late=state.late_paths,
    )
    services.converge(
        name="Services", services=state.services, actions=state.actions, masked=state.masked
    )
    if state.certificate is not None:
        tls.order(name="TLS | Certificate of the authority", need=need)


def _no_delay() -> None:
    """Send each command at once: paramiko leaves Nagle's algorithm on, 40 ms for every command (D5)."""
    connector = host.connector
    if isinstance(connector, SSHConnector) and connector.client is not None:
        transport = connector.client.get_transport()
        if transport is not None and isinstance(transport.sock, socket.socket):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
