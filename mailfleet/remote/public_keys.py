"""The public halves of the hosts' keys, which DNS publishes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pyinfra.api.exceptions import FactProcessError

from mailfleet.facts.public_keys import HostPublicKeys, PublicKeys
from mailfleet.remote.results import Completed, problem
from mailfleet.remote.run import Connector, run

_SECONDS = 120
"""Of which a host may spend most on asking name servers for its keys."""
_NO_PYTHON = 127
"""The shell's exit code where a program is not there: a host without Python has no keys yet."""


@dataclass(frozen=True)
class PublicKeysRead:
    """By host name, in the order in which they were asked for."""

    keys: dict[str, HostPublicKeys]
    unread: dict[str, str]
    """Why hosts could not be asked."""


def read_public_keys(connector: Connector, hosts: Collection[str]) -> PublicKeysRead:
    """Ask all hosts at once; MailfleetError where there are none."""
    fact = PublicKeys()
    script = str(fact.command().get_raw_value())
    keys: dict[str, HostPublicKeys] = {}
    unread: dict[str, str] = {}
    for host, result in run(connector, hosts, ("sh", "-c", script), seconds=_SECONDS).items():
        if isinstance(result, Completed) and result.exit_code == _NO_PYTHON:
            keys[host] = fact.default()
            continue
        if not isinstance(result, Completed) or result.exit_code != 0:
            unread[host] = problem(result)
            continue
        try:
            keys[host] = fact.process(result.text.splitlines())
        except FactProcessError as error:
            unread[host] = str(error)
    return PublicKeysRead(keys, unread)
