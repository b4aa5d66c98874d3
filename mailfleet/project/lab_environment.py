"""A lab as the place where a fleet lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mailfleet import lab
from mailfleet.host.target import Authority, Roots
from mailfleet.lab import logins
from mailfleet.project.environment import Environment, Inbox
from mailfleet.secrets import Secret


class Lab(Environment):
    """A lab on this machine. LabError where it is not up and has to be."""

    makes_secrets = True
    has_inbox = True
    is_closed = True

    def __init__(self, name: str) -> None:
        self._name = name

    def enter(self) -> None:
        lab.enter(self._name)

    def connection(self) -> Mapping[str, Any]:
        files = lab.files(self._name)
        return {
            "ssh_user": "root",
            "ssh_key": str(files.ssh_key),
            "ssh_known_hosts_file": str(files.known_hosts),
        }

    def resolvers(self) -> tuple[Sequence[str], str]:
        addresses = [str(address) for address in lab.files(self._name).resolvers]
        return addresses, f"the lab's resolver {addresses[0]}"

    def roots(self) -> Roots | None:
        files = lab.files(self._name)
        return Roots(files.root_hints.read_text("ascii"), files.trust_anchor.read_text("ascii"))

    def authority(self) -> Authority | None:
        files = lab.files(self._name)
        return Authority(files.acme_directory, files.own_ca.read_text("ascii"))

    def inbox(self) -> Inbox | None:
        files = lab.files(self._name)
        return Inbox(lab.INBOX_DOMAINS[0], files.ca_certificate, partial(lab.received, self._name))

    def _own_secret(self, name: str) -> Secret | None:
        tsig = lab.files(self._name).tsig
        if name == f"tsig-{tsig.name.rstrip('.')}":
            return Secret(f"{tsig.algorithm}:{tsig.secret}")
        if name.startswith("login-"):
            return Secret(logins.password_hash(tsig.secret, name.removeprefix("login-")))
        if name.startswith("password-"):
            return Secret(logins.password(tsig.secret, name.removeprefix("password-")))
        return None
