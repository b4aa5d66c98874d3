"""The lab: a closed network of real Debian hosts on one Linux machine.

Its hosts boot from Debian images in network namespaces that no packet leaves. It has authoritative
DNS with a signed root of its own, a validating resolver, and a receiver that judges mail like a
mailbox provider. `enter` moves a process into it; from there the hosts have the addresses that the
inventory says.
"""

from __future__ import annotations

from mailfleet.lab.access import LabFiles, Tsig, enter, files, received, ssh_command
from mailfleet.lab.addresses import INBOX_DOMAINS
from mailfleet.lab.errors import LabError, LabUsageError
from mailfleet.lab.lifecycle import down, restart_host, stop, up, up_like
from mailfleet.lab.requirements import REQUIRED_PACKAGES
from mailfleet.lab.spec import LabSpec, Machine
from mailfleet.lab.status import LabStatus, MachineStatus, status

DEFAULT_NAME = "lab"

__all__ = [
    "DEFAULT_NAME",
    "INBOX_DOMAINS",
    "REQUIRED_PACKAGES",
    "LabError",
    "LabFiles",
    "LabSpec",
    "LabStatus",
    "LabUsageError",
    "Machine",
    "MachineStatus",
    "Tsig",
    "down",
    "enter",
    "files",
    "received",
    "restart_host",
    "ssh_command",
    "status",
    "stop",
    "up",
    "up_like",
]
