"""What checks ask of hosts: a shell command's output, or testinfra's connection for checks of a user's."""

from __future__ import annotations

from typing import Any

import testinfra
from testinfra.host import Host as Connection

from mailfleet.remote.results import output_of
from mailfleet.remote.run import run
from mailfleet.remote.ssh import SshConnector

_SECONDS = 300
"""A host is read in one command, some of which wait for name servers that do not answer."""


def shell(connector: SshConnector, host: str, command: str) -> str:
    """The output of a shell command that root runs; MailfleetError where it could not, or failed."""
    result = run(connector, (host,), ("sh", "-c", command), seconds=_SECONDS)[host]
    address = connector.data(host).get("ssh_hostname", host)
    return output_of(host, result, f"try: ssh {address}")


def connection(connector: SshConnector, host: str) -> Connection:
    """testinfra's connection to a host, as root, over the connector's own."""
    data: Any = connector.data(host)
    return testinfra.get_host(
        f"ssh://{host}",
        ssh_config=str(connector.config),
        controlpersist=0,
        sudo=bool(data.get("_sudo")),
        sudo_user=data.get("_sudo_user"),
    )
