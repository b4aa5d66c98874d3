"""What a deploy has to know of a host before it changes anything, read in one remote command.

The packages, who holds the ports that the host's services need, the host's addresses, and units that
may not start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from itertools import pairwise

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.facts.packages import Packages
from mailfleet.facts.processes import PROCESS
from mailfleet.facts.services import MANAGED
from mailfleet.host import paths
from mailfleet.host.observed import PackageState
from mailfleet.host.published import PublishedPort, published
from mailfleet.model import Address

_PROCESS = f"""\
{PROCESS}
process() {{
  program=$(readlink "/proc/$1/exe" 2>/dev/null) || program=
  removed=
  case $program in *" (deleted)")
    program=${{program% (deleted)}}
    [ -e "$program" ] || removed=removed ;;
  esac
  printf 'process|%s|%s|%s|%s|%s\\n' "$1" "$program" "$removed" "$(unit_of "$1")" "$(command_of "$1")"
}}"""
# What else sets the kernel's rules; as "active" counts what has loaded them once.
_FIREWALLS = "firewalld nftables shorewall shorewall6 ferm"
_READ = f"""\
{_PROCESS}
if command -v ss >/dev/null; then
  # All of TCP: what a service serves beside our ports counts. Of UDP a resolver has thousands.
  sockets=$(ss -H -l -n -t -p | sed 's/^/tcp /'; ss -H -l -n -u -p "$1" | sed 's/^/udp /')
  printf '%s\\n' "$sockets" | sed 's/^/socket|/'
  for pid in $(printf '%s\\n' "$sockets" | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort -u); do
    if [ "$pid" = 1 ]; then systemctl list-sockets --plain --no-legend | sed 's/^/listen|/'; fi
    process "$pid"
  done
fi
if command -v ip >/dev/null; then ip -o addr show 2>/dev/null | sed 's/^/address|/'; fi
find {paths.UNITS} /run/systemd/system -maxdepth 1 -lname /dev/null -printf 'masked|%f\\n' 2>/dev/null
# What is no link to nowhere is an operator's, save what an earlier deploy has put there.
find {paths.UNITS} -maxdepth 1 ! -type d ! -lname /dev/null -printf '%f\\n' 2>/dev/null |
  while read -r unit; do
    grep -qsxF "{paths.UNITS}/$unit" {paths.MANAGED_FILES}/host || printf 'local|%s\\n' "$unit"
  done
for unit in {_FIREWALLS}; do
  if systemctl is-active --quiet "$unit.service"; then printf 'rival|%s.service\\n' "$unit"; fi
done
systemctl list-units --state=failed --plain --no-legend | sed -n 's/^\\([^ ]*\\) *not-found .*/orphan|\\1/p'
for version in "" 6; do
  command -v "ip${{version}}tables-save" >/dev/null &&
    "ip${{version}}tables-save" -t nat 2>/dev/null | sed -n 's/^-A .*-j DNAT .*/nat|&/p'
done
sed -n 's/^### tuple ### /rule|/p' {paths.UFW_RULES} {paths.UFW_RULES_IPV6} 2>/dev/null
sed 's/^/managed|/' {MANAGED} 2>/dev/null
true
"""


@dataclass(frozen=True)
class Process:
    """A process that holds a port. `unit` is empty where systemd did not start it."""

    pid: int
    program: str
    """The path of its program; empty where the kernel does not tell."""
    removed: bool
    """Whether the program is no longer on the disk."""
    unit: str
    command: str


@dataclass(frozen=True)
class OpenSocket:
    """A socket that listens. `address` None means every address of the IP `versions`."""

    protocol: str
    address: Address | None
    versions: frozenset[int]
    port: int
    processes: tuple[Process, ...] = ()
    """Empty where the kernel, or another process namespace, holds it."""


@dataclass(frozen=True)
class PreconditionState:
    """`addresses` is empty where the host could not say them."""

    packages: PackageState
    sockets: tuple[OpenSocket, ...] = ()
    addresses: frozenset[Address] = frozenset()
    masked: frozenset[str] = frozenset()
    local: frozenset[str] = frozenset()
    """Units in /etc/systemd/system that no deploy has put there."""
    rivals: frozenset[str] = frozenset()
    """Other firewalls that are active."""
    managed: frozenset[str] = frozenset()
    """The units that an earlier deploy started."""
    firewall: tuple[str, ...] = ()
    """ufw's rules as it writes them after "### tuple ###"."""
    published: tuple[PublishedPort, ...] = ()
    """Ports that the kernel hands to containers."""
    orphans: frozenset[str] = frozenset()
    """Units that have failed and whose package is gone."""


class Preconditions(FactBase[PreconditionState]):
    """State of the named packages and of the `ports`, with what else a deploy depends on."""

    def command(self, packages: tuple[str, ...], ports: tuple[int, ...]) -> StringCommand:
        wanted = " or ".join(f"sport = :{port}" for port in sorted(set(ports)))
        read = ("sh", "-c", QuoteString(_READ), "read", QuoteString(f"( {wanted} )"))
        return StringCommand(Packages().command(packages), ";", *read)

    @staticmethod
    def default() -> PreconditionState:
        return PreconditionState(Packages.default())

    def process(self, output: list[str]) -> PreconditionState:
        rows = [line.partition("|") for line in output]

        def values(kind: str) -> list[str]:
            return [value for key, bar, value in rows if bar and key == kind]

        processes = dict(_process(value) for value in values("process"))
        units = dict(_activated(value) for value in values("listen"))
        return PreconditionState(
            packages=Packages().process([line for line in output if "|" not in line]),
            sockets=tuple(
                socket
                for value in values("socket")
                for socket in _sockets(value.split(), processes, units)
            ),
            addresses=frozenset(_addresses(values("address"))),
            masked=frozenset(values("masked")),
            local=frozenset(values("local")),
            rivals=frozenset(values("rival")),
            managed=frozenset(values("managed")),
            firewall=tuple(values("rule")),
            published=tuple(published(values("nat"))),
            orphans=frozenset(values("orphan")),
        )


def _process(row: str) -> tuple[int, Process]:
    pid, program, removed, unit, command = row.split("|", 4)
    return int(pid), Process(int(pid), program, removed == "removed", unit, command.strip())


def _activated(row: str) -> tuple[str, str]:
    """A socket that systemd itself holds, and its unit: the row is of `systemctl list-sockets`."""
    listens, unit, *_ = [*row.split(), "", ""]
    return listens, unit


def _sockets(
    columns: list[str], processes: dict[int, Process], units: dict[str, str]
) -> Iterable[OpenSocket]:
    """What one row of `ss -H -l -n -t -u -p` tells."""
    if len(columns) < 5:
        return
    text, _, port = columns[4].rpartition(":")
    # 127.0.0.53%lo, [fe80::1]%eth0
    text = re.sub(r"%[^\]]*$", "", text).strip("[]")
    versions = {"*": {4, 6}, "0.0.0.0": {4}, "::": {6}}.get(text)  # noqa: S104
    address = None if versions else ip_address(text)
    # As Java and others open what is an IPv4 address.
    address = getattr(address, "ipv4_mapped", None) or address
    if address is not None:
        versions = {address.version}
    holders = tuple(
        _named(processes[pid], units.get(columns[4], ""))
        for pid in dict.fromkeys(map(int, re.findall(r"pid=(\d+)", " ".join(columns[5:]))))
        if pid in processes
    )
    yield OpenSocket(columns[0], address, frozenset(versions or ()), int(port), holders)


def _named(process: Process, unit: str) -> Process:
    """systemd holds a socket in the name of a unit."""
    if process.pid != 1:
        return process
    return Process(1, process.program, removed=False, unit=unit, command=process.command)


def _addresses(rows: list[str]) -> Iterable[Address]:
    """The addresses that `ip -o addr` prints: `2: host0 inet 192.0.2.10/24 scope global …`."""
    for row in rows:
        columns = row.split()
        for kind, value in pairwise(columns):
            if kind in ("inet", "inet6"):
                yield ip_interface(value).ip
