"""Reaching the hosts of an inventory by SSH, with the connection data that pyinfra uses."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host as Connection

from mailfleet.errors import MailfleetError

_log = logging.getLogger(__name__)
_TIMEOUT = 10


class Access:
    """Connections to hosts, one shared SSH connection each; `close` ends them.

    `connections` is what `mailfleet.project.inventory.read_connections` returns. MailfleetError for hosts
    that pyinfra reaches with a password: OpenSSH takes none without a terminal.
    """

    def __init__(self, connections: Mapping[str, Mapping[str, Any]], *, is_closed: bool) -> None:
        for name, data in connections.items():
            if data.get("ssh_password"):
                raise MailfleetError(
                    f"{name}: has ssh_password, and verify logs in with keys only",
                    "add your key to the host, and name it as ssh_key or put it into your SSH agent",
                )
        self._connections = connections
        # Short, since the path of a socket has 107 characters at most.
        self._folder = Path(tempfile.mkdtemp(prefix="mailfleet-"))
        self._config = self._folder / "config"
        text = "".join(_block(name, data, self._folder) for name, data in connections.items())
        if not is_closed:
            # With -F, ssh reads no other file; first values win, so ours go before the user's.
            own = next((data.get("ssh_config_file") for data in connections.values()), None)
            text += f"Match all\n  Include {own or '~/.ssh/config'}\n"
        self._config.write_text(text, encoding="utf-8")

    def host(self, name: str) -> Connection:
        """testinfra's connection to a host, as root."""
        data = self._connections[name]
        return testinfra.get_host(
            f"ssh://{name}",
            ssh_config=str(self._config),
            controlpersist=0,
            timeout=_TIMEOUT,
            sudo=bool(data.get("_sudo")),
            sudo_user=data.get("_sudo_user"),
        )

    def run(self, name: str, command: str) -> str:
        """The output of a shell command on a host; MailfleetError where it could not be run."""
        hint = f"try: ssh {self._connections[name].get('ssh_hostname', name)}"
        start = time.monotonic()
        try:
            done = self.host(name).run(command)
        except RuntimeError as error:  # testinfra's word for ssh's own failures
            result = error.args[0] if error.args else error
            said = str(getattr(result, "stderr", result)).strip().splitlines()
            problem = f"{name} cannot be reached: {said[-1] if said else 'ssh failed'}"
            raise MailfleetError(problem, hint) from None
        _log.info("%s: exit code %d after %.2f s", name, done.rc, time.monotonic() - start)
        _log.debug("%s: %s", name, command)
        if done.rc != 0:
            said = done.stderr.strip().splitlines()
            problem = f"{name} cannot be read: {said[-1] if said else f'exit code {done.rc}'}"
            raise MailfleetError(problem, hint)
        return str(done.stdout)

    def close(self) -> None:
        """End the connections and remove their files."""
        for name in self._connections:
            command = ["ssh", "-F", str(self._config), "-O", "exit", name]
            subprocess.run(command, capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _block(name: str, data: Mapping[str, Any], folder: Path) -> str:
    options: dict[str, Any] = {
        "HostName": data.get("ssh_hostname"),
        "Port": data.get("ssh_port"),
        "User": data.get("ssh_user"),
        "IdentityFile": data.get("ssh_key"),
        "IdentitiesOnly": "yes" if data.get("ssh_key") else None,
        "UserKnownHostsFile": data.get("ssh_known_hosts_file"),
        "StrictHostKeyChecking": data.get("ssh_strict_host_key_checking", "accept-new"),
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "ServerAliveInterval": 15,
        "ControlMaster": "auto",
        "ControlPersist": 60,
        "ControlPath": folder / "%C",
    }
    lines = [f'  {key} "{value}"\n' for key, value in options.items() if value is not None]
    return f"Host {name}\n{''.join(lines)}"
