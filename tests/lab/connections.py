"""SSH to the hosts of labs: one connection for all commands, since each new one costs half a second."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from mailfleet import lab
from mailfleet.lab import lifecycle, namespaces
from mailfleet.lab.paths import LabPaths


def command(name: str, host: str) -> list[str]:
    """What `lab.ssh_command` returns, over a connection that stays for this process's next commands."""
    *ssh, target = lab.ssh_command(name, host)
    shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=120"]
    return [*ssh, *shared, "-o", f"ControlPath={_socket(name, host)}", target]


def close() -> None:
    """End all connections."""
    if _folder.cache_info().currsize == 0:
        return
    for path in _folder().iterdir():
        subprocess.run(["ssh", "-O", "exit", "-S", path, "host"], capture_output=True, check=False)
    shutil.rmtree(_folder())
    _folder.cache_clear()


def _socket(name: str, host: str) -> Path:
    """Another one after each boot, as a host then has another network, and never hears of the old."""
    full = lifecycle.find_host(lifecycle.spec_of(LabPaths(name)), host).name
    network = namespaces.handle(namespaces.of_host(name, full)).stat()
    # The path of a socket has at most 107 characters.
    return _folder() / f"{full[:40]}-{network.st_ino}-{network.st_ctime_ns}"


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mailfleet-"))
