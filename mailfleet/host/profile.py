"""What a kind of host is made of: a list of roles, and what they want together. Pure.

A role is a module of `roles/`. It has `desired(target)`, and `secrets(fleet, host)` where it needs any. It
has no steps of its own: what happens in an order, such as keys before services, the fields of `HostState`
say, and `mailfleet/deploy/host.py` does it for all roles at once (decision D5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mailfleet.host.state import HostState, merge
from mailfleet.host.target import Target
from mailfleet.model import Fleet, Host


@dataclass(frozen=True)
class SecretNeed:
    """A secret that the operator gives: its name, e.g. "login-orders", and what it is for."""

    name: str
    purpose: str


class Role(Protocol):
    """One service of a host."""

    def desired(self, target: Target, /) -> HostState:
        """What the host shall have of it; nothing where the host does not need it. Reads no files."""


class JoiningRole(Protocol):
    """A role that serves the others: opens their ports, gives them certificates."""

    def desired(self, target: Target, others: HostState, /) -> HostState:
        """Like a role's; `others` is all that the others want."""


@runtime_checkable
class NeedsSecrets(Protocol):
    """A role that cannot be deployed without secrets."""

    def secrets(self, fleet: Fleet, host: Host, /) -> Iterator[SecretNeed]:
        """Those of one host."""


@dataclass(frozen=True)
class Profile:
    """A kind of host, e.g. a mail server."""

    name: str
    roles: tuple[Role, ...]
    """In the order in which their services start."""
    after: tuple[JoiningRole, ...] = ()
    """Their services start once those of all roles run."""
    before: tuple[JoiningRole, ...] = ()
    """Each sees all of the above, and starts before it."""

    def desired(self, target: Target) -> HostState:
        """Everything that a host shall be."""
        parts = [role.desired(target) for role in self.roles]
        for role in self.after:
            parts.append(role.desired(target, merge(parts)))
        for role in self.before:
            parts.insert(0, role.desired(target, merge(parts)))
        return merge(parts)

    def secrets(self, fleet: Fleet) -> tuple[SecretNeed, ...]:
        """What the deploy of a fleet looks up, each once."""
        needing = [role for role in self.roles if isinstance(role, NeedsSecrets)]
        needs = (n for host in fleet.hosts for role in needing for n in role.secrets(fleet, host))
        return tuple({need.name: need for need in needs}.values())
