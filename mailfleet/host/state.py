"""What a host shall be: packages, files, services, listeners. Pure values; roles make them.

Each role returns a HostState; `merge` joins them, and one set of operations applies the whole, so
that a run in which nothing changes costs the same few round trips however many roles there are (D5).
`mailfleet verify` compares live hosts with the same values.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from mailfleet.host.signing import StreamSigner, WantedKey
from mailfleet.model import Address, Network


@dataclass(frozen=True)
class ConfigFile:
    """A file with its whole content. `affects` names the services and actions that use it."""

    path: str
    content: str = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    affects: tuple[str, ...] = ()
    secret: bool = False
    """Whether its content is no one else's business: no plan and no log shows it."""
    binary: bytes | None = field(default=None, repr=False)
    """The content of a file that is no text, for which `content` is empty."""

    @property
    def data(self) -> bytes:
        """The content as it is on the disk."""
        return self.content.encode() if self.binary is None else self.binary

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Directory:
    """A folder that must exist before its files or services do."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Check:
    """A command that must succeed on the staged files before any of them goes live.

    `$STAGE` is the folder that holds the new files under their final paths; `$CHECK/etc` is an empty
    one for copies whose paths the check has to change. Both are cut from what it prints.
    """

    name: str
    command: str


@dataclass(frozen=True)
class Action:
    """A command to run once after a file that affects it has changed, before services start."""

    name: str
    command: str
    late: bool = False
    """Whether it is to run when the late services learn of their files: see `Service`."""


@dataclass(frozen=True)
class Service:
    """A unit that is enabled and, if `runs`, active.

    Units with `runs` false have a condition (a container has no clock to set) and are only enabled.
    """

    unit: str
    on_change: Literal["reload", "restart"] = "restart"
    runs: bool = True
    reads_certificate: bool = False
    """Whether it is to be reloaded when the host has a new certificate."""
    alone: bool = False
    """Whether it waits for those before it, and those after it wait for it; others start together."""
    late: bool = False
    """Whether its processes read its files whenever one of them starts, and ask the services before it.

    While it runs, a file that affects late services and actions alone waits until those before it run.
    """
    status: str = ""
    """What it says of itself (sd_notify(3), STATUS=) while it runs the wanted code; empty: anything."""


@dataclass(frozen=True)
class WantedCertificate:
    """What the host's certificate has to cover, the host's own name first.

    `config_hash` is the SHA-256 of the configuration by which it has to be ordered.
    """

    names: tuple[str, ...]
    config_hash: str


@dataclass(frozen=True)
class ConnectionLimit:
    """What one client may open, an IPv4 address or an IPv6 network /64; what is more has to wait."""

    concurrent: int
    per_minute: int
    concurrent_network: int | None = None
    """At the same time for a network /64, where that is not the same as for an address."""
    waiting_port: int | None = None
    """Where connections above `concurrent` wait; None: the client's kernel asks again later."""

    @property
    def of_network(self) -> int:
        """At the same time for an IPv6 network /64."""
        return self.concurrent if self.concurrent_network is None else self.concurrent_network


@dataclass(frozen=True)
class Listener:
    """A socket that a service opens. `addresses` empty means every address of the host."""

    purpose: str
    protocol: Literal["tcp", "udp"]
    port: int
    addresses: tuple[Address, ...] = ()
    served_by: Literal["role", "host", "operator"] = "role"
    """Whose service opens it: a role's, one that the host came with, or one of the operator's own."""
    sources: tuple[Network, ...] = ()
    """Whom the firewall lets in; empty means everybody."""
    unit: str = ""
    """The unit that opens it, where a role says so."""
    limit: ConnectionLimit | None = None
    """None where the service itself keeps clients within limits."""
    redirected: bool = False
    """Whether clients only get there when the firewall sends them from another port."""

    @property
    def public(self) -> bool:
        """Whether the firewall has to let others in."""
        if self.redirected:
            return False
        return not self.addresses or not all(a.is_loopback for a in self.addresses)


@dataclass(frozen=True)
class HostState:
    """All that roles want of one host, in the order in which it is applied."""

    packages: tuple[str, ...] = ()
    certificate: WantedCertificate | None = None
    keys: tuple[WantedKey, ...] = ()
    """DKIM keys: born on the host, before the files that name them."""
    signers: tuple[StreamSigner, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[ConfigFile, ...] = ()
    checks: tuple[Check, ...] = ()
    actions: tuple[Action, ...] = ()
    services: tuple[Service, ...] = ()
    masked: tuple[str, ...] = ()
    """Units that packages bring and that must not run: masked, so that no update starts them."""
    as_packaged: tuple[str, ...] = ()
    """Units that packages bring and that stay as Debian has them: templates, and what others start."""
    listeners: tuple[Listener, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """All units whose state a deploy decides."""
        return (*(service.unit for service in self.services), *self.masked)

    @property
    def certificate_readers(self) -> tuple[str, ...]:
        """The units that have to learn of a new certificate."""
        return tuple(service.unit for service in self.services if service.reads_certificate)

    @property
    def late_paths(self) -> frozenset[str]:
        """The files that affect late services and actions alone."""
        late = {action.name for action in self.actions if action.late}
        late |= {service.unit for service in self.services if service.late}
        return frozenset(
            file.path for file in self.files if file.affects and late.issuperset(file.affects)
        )


def merge(states: Iterable[HostState]) -> HostState:
    """One state of many. ValueError when two roles claim one thing: neither would win for long."""
    parts = tuple(states)
    state = HostState(
        packages=tuple(sorted({name for part in parts for name in part.packages})),
        certificate=next((part.certificate for part in parts if part.certificate), None),
        keys=tuple(key for part in parts for key in part.keys),
        signers=tuple(signer for part in parts for signer in part.signers),
        directories=tuple(dict.fromkeys(d for part in parts for d in part.directories)),
        files=tuple(file for part in parts for file in part.files),
        checks=tuple(check for part in parts for check in part.checks),
        actions=tuple(action for part in parts for action in part.actions),
        services=tuple(service for part in parts for service in part.services),
        masked=tuple(unit for part in parts for unit in part.masked),
        as_packaged=tuple(unit for part in parts for unit in part.as_packaged),
        listeners=tuple(listener for part in parts for listener in part.listeners),
    )
    _refuse_twice("write", (file.path for file in state.files))
    _refuse_twice("want the folder", (directory.path for directory in state.directories))
    _refuse_twice(
        "want the certificate of", (p.certificate.names[0] for p in parts if p.certificate)
    )
    _refuse_twice("run", (action.name for action in state.actions))
    _refuse_twice("decide about the unit", (*state.units, *state.as_packaged))
    known = {a.name for a in state.actions} | {s.unit for s in state.services}
    unknown = sorted({name for file in state.files for name in file.affects} - known)
    if unknown:
        raise ValueError(f"files affect {', '.join(unknown)}, which no role declares")
    return state


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise ValueError(f"several roles {what} {', '.join(doubled)}")
