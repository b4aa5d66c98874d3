"""How a lab is doing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from mailfleet.lab import hosts, lifecycle, namespaces, readiness, requirements
from mailfleet.lab.addresses import Address
from mailfleet.lab.paths import LabPaths
from mailfleet.lab.spec import Host, check_name, hosts_of, spec_from_json


@dataclass(frozen=True)
class MachineStatus:
    """One host: whether its processes run, and whether its SSH answers."""

    name: str
    suite: str
    network: str
    addresses: tuple[Address, ...]
    running: bool
    ssh: bool


@dataclass(frozen=True)
class LabStatus:
    """A lab: "up" when every host answers, "down" when nothing is there, else "partial"."""

    name: str
    state: Literal["up", "down", "partial"]
    machines: tuple[MachineStatus, ...]

    def to_json(self) -> dict[str, Any]:
        """The status as plain data."""
        return {
            "name": self.name,
            "state": self.state,
            "machines": [
                {
                    "name": machine.name,
                    "suite": machine.suite,
                    "network": machine.network,
                    "addresses": [str(address) for address in machine.addresses],
                    "running": machine.running,
                    "ssh": machine.ssh,
                }
                for machine in self.machines
            ],
        }


def status(name: str) -> LabStatus:
    """How the lab `name` is doing now; it need not exist."""
    check_name(name)
    requirements.check_platform()
    lab = LabPaths(name)
    if not lifecycle.leftovers(lab):
        return LabStatus(name, "down", ())
    if not lab.spec.exists():
        return LabStatus(name, "partial", ())
    everyone = hosts_of(spec_from_json(json.loads(lab.spec.read_text())))
    running = [hosts.running(name, host) for host in everyone]
    answering = _answering(name, everyone)
    machines = tuple(
        MachineStatus(host.name, host.suite, host.network.name, host.addresses, runs, ssh)
        for host, runs, ssh in zip(everyone, running, answering, strict=True)
    )
    whole = lab.ready.exists() and all(running) and all(answering)
    return LabStatus(name, "up" if whole else "partial", machines)


def _answering(name: str, everyone: Sequence[Host]) -> list[bool]:
    internet = namespaces.internet(name)
    if not namespaces.exists(internet):
        return [False] * len(everyone)

    def ask() -> list[bool]:
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(lambda host: readiness.ssh_answers(host.addresses[0]), everyone))

    return namespaces.inside(internet, ask)
