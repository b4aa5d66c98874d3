"""What stands in the way of a deploy on a host as it is, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailfleet.facts.preconditions import OpenSocket, PreconditionState, Process
from mailfleet.facts.programs import Owner
from mailfleet.host import paths, published
from mailfleet.host.state import HostState, Listener
from mailfleet.model import Address

_DEFAULT_POSTFIX = ("postfix.service", "postfix@-.service")
# What Debian's own configuration of Postfix and nginx serves.
_DEFAULT_PORTS = (25, 80)
_MAIL_SERVER = "mail-transport-agent"
# What Debian's mail servers call their programs, for a process whose package is gone already.
_MAIL_SERVERS = ("exim", "sendmail", "smtpd", "courier", "nullmailer", "msmtpd", "citserver")
# What holds the port that a container publishes.
_PROXIES = ("docker-proxy", "rootlessport", "conmon")
Owners = Mapping[tuple[str, str], Sequence[Owner]]


@dataclass(frozen=True)
class Holder:
    """A process that holds ports of ours; `process` None where the host does not tell which."""

    process: Process | None
    ports: tuple[str, ...]
    """Each port with its purpose, e.g. "port 25 (inbound)"."""
    is_ours: bool = False
    """Whether the process is of a service that the deploy configures, for another port."""

    @property
    def key(self) -> tuple[str, str]:
        """Unit and program, by which the fact Owners is asked."""
        return (self.process.unit, self.process.program) if self.process else ("", "")


def holders(
    state: HostState, observed: PreconditionState, own: Collection[Address]
) -> list[Holder]:
    """Whoever is none of the host's services and holds a port that one of them needs.

    `own` are the host's addresses: services listen on no other IP version.
    """
    versions = {address.version for address in own}
    units = {service.unit for service in state.services} | observed.managed
    ports: dict[Process | None, dict[str, None]] = {}
    for listener in state.listeners:
        if listener.served_by != "role":
            continue
        for socket in observed.sockets:
            if not _collide(listener, socket, versions):
                continue
            if any(_may_hold(process, listener, units, observed) for process in socket.processes):
                continue
            # Workers have the socket of the process that started them, which is the oldest.
            process = min(socket.processes, key=lambda candidate: candidate.pid, default=None)
            where = f" of {socket.address}" if socket.address else ""
            text = f"{listener.protocol} port {listener.port}{where} ({listener.purpose})"
            ports.setdefault(process, {})[text] = None
    return [
        Holder(process, tuple(texts), is_ours=process is not None and process.unit in units)
        for process, texts in ports.items()
    ]


def _may_hold(
    process: Process, listener: Listener, units: Collection[str], observed: PreconditionState
) -> bool:
    """Whether a service of ours holds a port of its own, or one that an earlier deploy gave it."""
    if process.unit in observed.managed or process.unit.startswith("mailfleet-"):
        return True
    if process.unit in _DEFAULT_POSTFIX or process.unit in units:
        # Instances change places: the default one of Debian's may serve submission.
        both = (process.unit, listener.unit)
        return listener.unit in ("", process.unit) or all(u.startswith("postfix") for u in both)
    return False


def _collide(listener: Listener, socket: OpenSocket, versions: Collection[int]) -> bool:
    if (listener.protocol, listener.port) != (socket.protocol, socket.port):
        return False
    if not listener.addresses:
        return bool(socket.versions & set(versions))
    if socket.address is None:
        return any(address.version in socket.versions for address in listener.addresses)
    return socket.address in listener.addresses


def is_mail_server(holder: Holder, owners: Owners) -> bool:
    """Whether it is another mail server of Debian's, which makes room for Postfix."""
    if holder.process is None:
        return False
    if holder.process.removed:
        return PurePosixPath(holder.process.program).name.startswith(_MAIL_SERVERS)
    return any(_MAIL_SERVER in owner.provides for owner in owners.get(holder.key, ()))


def problems(
    state: HostState,
    addresses: Sequence[Address],
    observed: PreconditionState,
    holders: Sequence[Holder],
    owners: Owners,
) -> list[str]:
    """All that a deploy cannot clear out of its way itself."""
    return [
        *port_problems(holders, owners),
        *takeover_problems(state, observed),
        *address_problems(addresses, observed),
        *unit_problems(state, observed),
        *firewall_problems(observed),
        *container_problems(state, addresses, observed),
    ]


def mail_servers(holders: Iterable[Holder], owners: Owners) -> tuple[str, ...]:
    """The mail servers that make room: their package, or their program with its pid."""
    return tuple(
        next(
            (owner.package for owner in owners.get(holder.key, ())),
            f"{holder.process.program} (pid {holder.process.pid})",
        )
        for holder in holders
        if holder.process is not None and is_mail_server(holder, owners)
    )


def port_problems(holders: Iterable[Holder], owners: Owners) -> list[str]:
    """Each holder that does not make room, with what to do."""
    return [
        _port_problem(holder, owners) for holder in holders if not is_mail_server(holder, owners)
    ]


def _port_problem(holder: Holder, owners: Owners) -> str:
    ports = " and ".join(holder.ports)
    process = holder.process
    if process is None:
        return (
            f"{ports} is taken, and the host does not tell by which process: it is the kernel's, or "
            "in a container; see 'ss -lntup' and free the port"
        )
    package = next((owner.package for owner in owners.get(holder.key, ())), "")
    name = PurePosixPath(process.program).name or process.command.split(" ")[0] or "a process"
    parts = [f"pid {process.pid}", process.unit, f"package {package}" if package else ""]
    text = f"{ports} is held by {name} ({', '.join(part for part in parts if part)})"
    if holder.is_ours:
        return f"{text}; {_TAKEOVER.format(unit=process.unit)}"
    return f"{text}; {_remedy(process, package)}"


def _remedy(process: Process, package: str) -> str:
    name = PurePosixPath(process.program).name
    if name in _PROXIES:
        return (
            "see 'docker ps' or 'podman ps' for the container that publishes the port, and stop it"
        )
    if name in ("inetd", "xinetd"):
        return (
            f"take its line out of /etc/{name}.conf (or from /etc/xinetd.d) and restart {process.unit}, or "
            f"stop it for good with 'systemctl disable --now {process.unit}'"
        )
    if process.unit.endswith((".service", ".socket")) and not process.unit.startswith("user@"):
        remove = f", or remove it with 'apt-get remove {package}'" if package else ""
        return f"stop it for good with 'systemctl disable --now {process.unit}'{remove}"
    started = f"no service of the system started it ({process.command})"
    return f"{started}: stop it with 'kill {process.pid}', and whatever starts it at boot"


def takeover_problems(state: HostState, observed: PreconditionState) -> list[str]:
    """Services of ours that run already and serve the operator something which would be gone."""
    planned = {listener.port for listener in state.listeners} | {*_DEFAULT_PORTS}
    own = ({service.unit for service in state.services} | {*_DEFAULT_POSTFIX}) - observed.managed
    served: dict[str, set[int]] = {}
    for socket in observed.sockets:
        if socket.port in planned or (socket.address is not None and socket.address.is_loopback):
            continue
        for process in socket.processes:
            if process.unit in own and socket.protocol == "tcp":
                served.setdefault(process.unit, set()).add(socket.port)
    return [
        f"{unit} runs and serves port {', '.join(map(str, sorted(ports)))}, which this host's configuration "
        f"does not; {_TAKEOVER.format(unit=unit)}"
        for unit, ports in served.items()
    ]


_TAKEOVER = (
    "a deploy replaces what configures it: move what it serves elsewhere, then stop it with "
    "'systemctl stop {unit}'"
)


def address_problems(wanted: Iterable[Address], observed: PreconditionState) -> list[str]:
    """Addresses of the inventory that the host has not: no service could listen or send there."""
    if not observed.addresses:
        return []
    here = ", ".join(str(a) for a in sorted(observed.addresses, key=str) if _is_global(a)) or "none"
    return [
        f"the inventory says that this host has the address {address}, and its interfaces have {here}: "
        "add the address to an interface, or correct the inventory"
        for address in dict.fromkeys(wanted)
        if address not in observed.addresses
    ]


def _is_global(address: Address) -> bool:
    return not address.is_loopback and not address.is_link_local


def unit_problems(state: HostState, observed: PreconditionState) -> list[str]:
    """Units that somebody has masked and that shall run, or that hide those that must not run."""
    masked = [
        f"{service.unit} is masked, so nothing can start it, and this host needs it: allow it with "
        f"'systemctl unmask {service.unit}'"
        for service in state.services
        if service.unit in observed.masked
    ]
    hidden = [
        f"{unit} must not run beside mailfleet's own units, and cannot be masked while {paths.UNITS}/"
        f"{unit} is there: stop it with 'systemctl disable --now {unit}', and move that file away"
        for unit in state.masked
        if unit in observed.local
    ]
    return masked + hidden


def firewall_problems(observed: PreconditionState) -> list[str]:
    """Other firewalls: each would undo the rules of ufw, and ufw those of theirs."""
    return [
        f"{unit} is active, and would undo the rules of ufw, which mailfleet sets up: list what others are "
        "to reach on this host as open_ports in the inventory, then end it with 'systemctl disable --now "
        f"{unit}'"
        for unit in sorted(observed.rivals)
    ]


def container_problems(
    state: HostState, own: Iterable[Address], observed: PreconditionState
) -> list[str]:
    """Ports of ours that the kernel hands to a container, with or without a process that holds them."""
    addresses = set(own)
    problems = [
        f"{port.text}, and the host's own service ({listener.purpose}) gets nothing that arrives there: "
        f"{published.REMEDY}"
        for port in observed.published
        for listener in state.listeners
        if listener.public
        and port.covers(listener.protocol, listener.port)
        and not any(_is_of(socket, port) for socket in observed.sockets)
        and (port.address is None or port.address in (listener.addresses or addresses))
        and any(a.version == port.version for a in listener.addresses or addresses)
    ]
    return list(dict.fromkeys(problems))


def _is_of(socket: OpenSocket, published_port: published.PublishedPort) -> bool:
    """Whether a port of ours is named already, since docker-proxy or its like holds it."""
    return published_port.covers(socket.protocol, socket.port) and any(
        PurePosixPath(process.program).name in _PROXIES for process in socket.processes
    )
