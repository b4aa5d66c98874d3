"""Hosts by the system's ssh, with the inventory's connection data: docs/decisions/0015."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of

_CONNECT_SECONDS = 10
_AT_ONCE = 16
_PASSWORDS = {
    "ssh_password": "add your key to the host, and name it as ssh_key or put it into your SSH agent",
    "ssh_key_password": "put the key into your SSH agent",
    "_sudo_password": "allow sudo without a password",
    "_su_user": "log in as root, or allow sudo without a password",
}
"""What ssh would ask a terminal for, or the host; and what to do instead."""


class SshConnector:
    """SSH to hosts; `close` ends what is open, as does the end of a `with`.

    `connections` is what `mailfleet.project.inventory.read_connections` returns. Where `is_closed`, the
    user's own SSH configuration is not read. With `keep`, a host's connection stays open for the next
    command: half a second less for each, and a process here for each host. MailfleetError for hosts that
    want a password.
    """

    def __init__(
        self,
        connections: Mapping[str, Mapping[str, Any]],
        *,
        is_closed: bool = False,
        keep: bool = False,
    ) -> None:
        for name, data in connections.items():
            _check(name, data)
        self._connections = connections
        self._keep = keep
        self._folder = Path(tempfile.mkdtemp(prefix="mailfleet-"))
        self.config = self._folder / "config"
        """ssh's configuration file, for `ssh -F`."""
        blocks = []
        for number, (name, data) in enumerate(connections.items()):
            # By number: the path of a socket has 103 characters on macOS, of which ssh takes 17 for itself.
            socket = self._folder / str(number) if keep else None
            blocks.append(config_block(name, data, socket, is_closed=is_closed))
        self.config.write_text("".join(blocks), encoding="utf-8")

    @classmethod
    def of_fleet(cls, fleet: Fleet, *, keep: bool = False) -> SshConnector:
        """To the hosts of an inventory, from where this process is; see `Environment.enter`."""
        connections = inventory.read_connections(fleet.source)
        return cls(connections, is_closed=environment_of(fleet).is_closed, keep=keep)

    def __enter__(self) -> SshConnector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def become(self, host: str) -> Sequence[str]:
        """sudo, doas or dzdo where the inventory wants it, never with a question."""
        return become(self.data(host))

    def argv(self, host: str, command: str) -> Sequence[str]:
        """ssh with the command, without a terminal."""
        self.data(host)
        return ("ssh", "-F", str(self.config), "-T", "--", host, command)

    def data(self, host: str) -> Mapping[str, Any]:
        """The connection data of a host; MailfleetError where it has none."""
        if host not in self._connections:
            raise MailfleetError(
                f"{host} is a host of pyinfra's @fake connector, which only pyinfra asks",
                "remove @fake/ from its name to connect by SSH",
            )
        return self._connections[host]

    def close(self) -> None:
        """End the connections and remove their files."""
        if self._keep:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._end, self._connections))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, host: str) -> None:
        command = ["ssh", "-F", str(self.config), "-O", "exit", host]
        subprocess.run(command, capture_output=True, check=False)


def config_block(
    name: str, data: Mapping[str, Any], socket: Path | None, *, is_closed: bool
) -> str:
    """What ssh's configuration says of a host, whose connection is kept open at `socket`.

    With -F, ssh reads no other file. First values win, so ours go before those of the user's file.
    """
    key = data.get("ssh_key")
    options: dict[str, Any] = {
        "HostName": data.get("ssh_hostname"),
        "Port": data.get("ssh_port"),
        "User": data.get("ssh_user"),
        "IdentityFile": key,
        "IdentitiesOnly": "yes" if key else None,
        "IdentityAgent": "none" if data.get("ssh_allow_agent") is False else None,
        "UserKnownHostsFile": data.get("ssh_known_hosts_file"),
        "StrictHostKeyChecking": data.get("ssh_strict_host_key_checking", "accept-new"),
        "ConnectionAttempts": data.get("ssh_connect_retries", 0) + 1,
        "ConnectTimeout": _CONNECT_SECONDS,
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "ServerAliveInterval": 15,
        "ControlMaster": "auto" if socket else "no",
        "ControlPersist": 60 if socket else None,
        "ControlPath": socket or "none",
    }
    lines = [f"  {key} {_value(value)}\n" for key, value in options.items() if value is not None]
    # Takes the whole line, quotation marks too.
    lines.append("  RemoteCommand none\n")
    if not is_closed:
        # Absolute: ssh would look for it in ~/.ssh, pyinfra in the current folder.
        own = Path(data.get("ssh_config_file") or "~/.ssh/config").expanduser().absolute()
        lines.append(f'  Include "{own}"\n')
    return f"Host {name}\n{''.join(lines)}"


def become(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What runs a program as the user that pyinfra works as; nothing where that is who logs in."""
    for tool, options in (("sudo", ("-H", "-n")), ("doas", ("-n",)), ("dzdo", ("-H", "-n"))):
        if data.get(f"_{tool}"):
            user = data.get(f"_{tool}_user")
            return (tool, *options, *(("-u", str(user)) if user else ()))
    return ()


def _check(name: str, data: Mapping[str, Any]) -> None:
    for key, hint in _PASSWORDS.items():
        if data.get(key):
            raise MailfleetError(
                f"{name}: has {key}, and ssh is run without a terminal, with keys only", hint
            )
    texts: Iterable[tuple[str, Any]] = ((k, v) for k, v in data.items() if k.startswith("ssh_"))
    for key, value in texts:
        if isinstance(value, str) and any(char == '"' or char < " " for char in value):
            raise MailfleetError(
                f"{name}: {key} has a quotation mark or a line break, which ssh cannot be given"
            )


def _value(value: object) -> str:
    # % begins one of ssh's tokens in paths and names.
    return '"' + str(value).replace("%", "%%") + '"'
