"""Kernel limits of the machine that a lab outgrows."""

from __future__ import annotations

from pathlib import Path

# Each host's systemd and services take some 20 inotify instances, all of them root's; the kernel's
# default of 128 is used up by two labs, and then units fail with "Too many open files".
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WANTED = 1024


def raise_limits() -> None:
    """Raise the limit until the next reboot; never lower it."""
    if int(_INSTANCES.read_text()) < _WANTED:
        _INSTANCES.write_text(str(_WANTED))
