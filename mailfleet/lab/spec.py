"""What a lab consists of: the machines asked for, plus the two that every lab has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from mailfleet.host.releases import TESTED
from mailfleet.lab import addresses
from mailfleet.lab.addresses import Address, Network
from mailfleet.lab.errors import LabUsageError

SUITES = TESTED
SUPPORT_SUITE = "bookworm"
Kind = Literal["mta", "nameserver", "receiver"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FQDN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


@dataclass(frozen=True)
class Machine:
    """A mail host of the lab: its full name, Debian suite, network ("eu", "us") and addresses.

    The first address is the one that SSH is expected on.
    """

    name: str
    suite: str
    network: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class LabSpec:
    """The machines of a lab, and the forward zones that its name server carries, empty at first."""

    machines: tuple[Machine, ...]
    zones: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """Any host of a lab. `name` is how the lab calls it, `fqdn` what it calls itself."""

    name: str
    fqdn: str
    kind: Kind
    suite: str
    network: Network
    addresses: tuple[Address, ...]


def check_name(name: str) -> None:
    """Raise `LabUsageError` unless `name` can be the name of a lab."""
    if not _NAME.fullmatch(name):
        raise LabUsageError(
            f"{name!r} cannot be the name of a lab",
            "use 1 to 20 of the characters a-z, 0-9 and -, no - at either end",
        )


def check_spec(spec: LabSpec) -> None:
    """Raise `LabUsageError` with everything that is wrong in `spec`."""
    wrong = [text for machine in spec.machines for text in _machine_faults(machine)]
    fixed = {*addresses.NAMESERVER, *addresses.RESOLVER, *addresses.ACME, *addresses.RECEIVER}
    uses = Counter(address for machine in spec.machines for address in machine.addresses)
    wrong += [f"{address} is used {count} times" for address, count in uses.items() if count > 1]
    wrong += [f"{address} belongs to the lab itself" for address in uses if address in fixed]
    names = Counter(machine.name for machine in spec.machines)
    wrong += [f"{name} is there {count} times" for name, count in names.items() if count > 1]
    for zone in spec.zones:
        if zone in (addresses.CORE_ZONE, addresses.INBOX_ZONE, *addresses.REVERSE_ZONES):
            wrong.append(f"zone {zone} belongs to the lab itself")
        elif not _FQDN.fullmatch(zone):
            wrong.append(f"zone {zone!r} is not a domain name in lower case without a final dot")
    if wrong:
        raise LabUsageError("this lab cannot be built: " + "; ".join(wrong))


def _machine_faults(machine: Machine) -> list[str]:
    faults = []
    if len(machine.name) > 64 or not _FQDN.fullmatch(machine.name):
        faults.append(f"{machine.name!r} is not a full host name of at most 64 characters")
    if machine.suite not in SUITES:
        faults.append(f"{machine.name}: suite {machine.suite!r} is none of {', '.join(SUITES)}")
    if not machine.addresses:
        faults.append(f"{machine.name} has no address")
    if machine.network not in addresses.REGIONS:
        faults.append(f"{machine.name}: network {machine.network!r} is neither eu nor us")
        return faults
    network = addresses.NETWORKS[machine.network]
    for address in machine.addresses:
        if not network.contains(address) or address in network.gateways:
            faults.append(f"{machine.name}: {address} is no host address of {machine.network}")
    return faults


NAMESERVER_HOST = Host(
    name="ns",
    fqdn=addresses.NAMESERVER_NAME,
    kind="nameserver",
    suite=SUPPORT_SUITE,
    network=addresses.CORE,
    addresses=(*addresses.NAMESERVER, *addresses.RESOLVER, *addresses.ACME),
)
RECEIVER_HOST = Host(
    name="receiver",
    fqdn=addresses.RECEIVER_NAME,
    kind="receiver",
    suite=SUPPORT_SUITE,
    network=addresses.CORE,
    addresses=addresses.RECEIVER,
)


def hosts_of(spec: LabSpec) -> tuple[Host, ...]:
    """Every host of the lab that `spec` asks for: name server, receiver, then the machines."""
    machines = tuple(
        Host(
            name=machine.name,
            fqdn=machine.name,
            kind="mta",
            suite=machine.suite,
            network=addresses.NETWORKS[machine.network],
            addresses=machine.addresses,
        )
        for machine in spec.machines
    )
    return (NAMESERVER_HOST, RECEIVER_HOST, *machines)


def spec_to_json(spec: LabSpec) -> dict[str, Any]:
    """The spec as plain data; `spec_from_json` is its inverse."""
    return {
        "machines": [
            {
                "name": machine.name,
                "suite": machine.suite,
                "network": machine.network,
                "addresses": [str(address) for address in machine.addresses],
            }
            for machine in spec.machines
        ],
        "zones": list(spec.zones),
    }


def spec_from_json(data: Mapping[str, Any]) -> LabSpec:
    """The spec that `spec_to_json` wrote."""
    return LabSpec(
        machines=tuple(
            Machine(
                name=machine["name"],
                suite=machine["suite"],
                network=machine["network"],
                addresses=tuple(ip_address(address) for address in machine["addresses"]),
            )
            for machine in data["machines"]
        ),
        zones=tuple(data["zones"]),
    )
