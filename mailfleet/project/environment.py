"""Where a fleet lives: its resolver, trust, connections and secrets. The only place that asks about labs.

A third environment, such as a cloud with a host that swallows all mail, is one more class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from mailfleet.host.target import Authority, Roots
from mailfleet.model import Fleet
from mailfleet.secrets import Secret, missing, optional_secret


@dataclass(frozen=True)
class Inbox:
    """A mailbox provider whose verdict can be read."""

    domain: str
    """Mail to any address of `v4.DOMAIN` and `v6.DOMAIN` arrives over that IP version."""
    ca_certificate: Path
    """Who vouches for the hosts' certificates."""
    received: Callable[[str], Iterator[EmailMessage]]
    """The messages that hold a text, oldest first, with the provider's Authentication-Results."""


class Environment(ABC):
    """What commands need of the place where a fleet lives, and a fleet does not say itself."""

    makes_secrets: bool
    """Whether it has every secret that the operator does not give."""
    has_inbox: bool
    """Whether `inbox` can say what a mailbox provider judges."""
    is_closed: bool
    """Whether nothing of the user's own SSH configuration leads there."""

    @abstractmethod
    def enter(self) -> None:
        """Bring this process to where the hosts' addresses can be reached. To enter again does nothing."""

    @abstractmethod
    def connection(self) -> Mapping[str, Any]:
        """pyinfra's connection data, for hosts of which the inventory does not say it."""

    @abstractmethod
    def resolvers(self) -> tuple[Sequence[str], str]:
        """The addresses of resolvers, and what to call them; none: this machine's own."""

    @abstractmethod
    def roots(self) -> Roots | None:
        """Where name resolution starts; None: at the Internet's root."""

    @abstractmethod
    def authority(self) -> Authority | None:
        """Who issues the certificates; None: the authority that the inventory names."""

    @abstractmethod
    def inbox(self) -> Inbox | None:
        """A receiver for probes; None where there is none."""

    @abstractmethod
    def _own_secret(self, name: str) -> Secret | None:
        """A secret that the environment makes itself."""

    def optional_secret(self, name: str) -> Secret | None:
        """The secret that the operator gives, else the environment's own, else None."""
        given = optional_secret(name)
        return self._own_secret(name) if given is None else given

    def secret(self, name: str, purpose: str) -> Secret:
        """Like `optional_secret`; MailfleetError, with `purpose`, where there is none."""
        value = self.optional_secret(name)
        if value is None:
            raise missing(name, purpose)
        return value


class Internet(Environment):
    """Real servers: everything is as the machine has it, and nothing is given away for free."""

    makes_secrets = False
    has_inbox = False
    is_closed = False

    def enter(self) -> None:
        """This process is there."""

    def connection(self) -> Mapping[str, Any]:
        return {}

    def resolvers(self) -> tuple[Sequence[str], str]:
        return (), ""

    def roots(self) -> Roots | None:
        return None

    def authority(self) -> Authority | None:
        return None

    def inbox(self) -> Inbox | None:
        return None

    def _own_secret(self, name: str) -> Secret | None:  # noqa: ARG002
        return None


def environment_of(fleet: Fleet) -> Environment:
    """Where the hosts of a fleet live."""
    if fleet.lab is None:
        return Internet()
    # Whoever runs real servers loads no lab: 0.3 s at the start of each command.
    from mailfleet.project.lab_environment import Lab

    return Lab(fleet.lab)
