"""What a machine needs so that it can carry a lab, and the check that it has it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mailfleet.lab.errors import LabError

REQUIRED_PACKAGES = (
    "apt",
    "debian-archive-keyring",
    "iproute2",
    "mmdebstrap",
    "mount",
    "openssh-client",
    "systemd-container",
    "util-linux",
)
"""Debian packages that the lab needs on the machine that carries it."""

_TOOLS = {
    "apt-config": "apt",
    "apt-get": "apt",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "setsid": "util-linux",
    "umount": "mount",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def check_platform() -> None:
    """Raise `LabError` unless this is Linux and we are root."""
    if sys.platform != "linux":
        raise LabError(
            "the lab needs Linux: its hosts are systemd-nspawn containers",
            "run it on a Linux machine or in a virtual machine",
        )
    if os.geteuid() != 0:
        raise LabError(
            "the lab needs root: it makes network namespaces and mounts",
            "run the same command with sudo",
        )


def missing_packages() -> tuple[str, ...]:
    """The Debian packages that are needed here and not installed, sorted."""
    missing = {package for tool, package in _TOOLS.items() if shutil.which(tool) is None}
    if not _KEYRING.exists():
        missing.add("debian-archive-keyring")
    return tuple(sorted(missing))


def check() -> None:
    """Raise `LabError` unless a lab can be brought up on this machine."""
    check_platform()
    missing = missing_packages()
    if missing:
        raise LabError(
            f"the lab needs tools that are not installed: {', '.join(missing)}",
            f"apt-get install --no-install-recommends {' '.join(missing)}",
        )
    if not _has_overlay():
        raise LabError(
            "this kernel has no overlay file system",
            "load the module `overlay`, or use a kernel that has it",
        )


def _has_overlay() -> bool:
    if "overlay" in Path("/proc/filesystems").read_text().split():
        return True
    return os.spawnlp(os.P_WAIT, "modprobe", "modprobe", "--quiet", "overlay") == 0
