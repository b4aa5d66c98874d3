"""Ports that the kernel hands to a container before ufw and the host's own services see them. Pure.

Docker and Podman publish a port by a DNAT rule in the table nat. What it matches is forwarded, so it never
meets the chain INPUT, where ufw filters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import pairwise

from mailfleet.model import Address

OWN_CHAINS = "mailfleet-"
"""How the chains of the host's own DNAT rules begin (mailfleet-ingress.rules)."""
# Chains and bridges as Docker, Podman (netavark) and CNI's plugins call them.
_ENGINE = re.compile(r"\b(?:DOCKER|NETAVARK|CNI)(?:\b|[-_])|-[io] (?:docker|podman|cni-?|br-)\w*")
# A container that asks for its own published port.
_HAIRPIN = re.compile(r"-s (\S+) -d \1 .*-j MASQUERADE")
REMEDY = (
    "see 'docker ps' or 'podman ps', and run the container on another host, or with --network host, where "
    "ufw counts"
)


@dataclass(frozen=True)
class PublishedPort:
    """A port, or a range as iptables writes it (8000:8010), of `address` (None: of all)."""

    protocol: str
    port: str
    address: Address | None
    target: str
    """Where it leads to, e.g. 172.17.0.2:80."""
    version: int

    @property
    def text(self) -> str:
        where = f" of {self.address}" if self.address else f" of every IPv{self.version} address"
        return f"{self.protocol} port {self.port}{where} leads to a container at {self.target}"

    def covers(self, protocol: str, port: int) -> bool:
        """Whether the port is this one or in this range."""
        first, _, last = self.port.partition(":")
        return protocol == self.protocol and int(first) <= port <= int(last or first)


def published(rules: Iterable[str]) -> Iterator[PublishedPort]:
    """Ports that others than the host reach; `rules` are of the table nat, as iptables-save prints them."""
    for rule in rules:
        words = rule.split()
        options = dict(pairwise(words))
        if options.get("-j") != "DNAT" or options.get("-A", "").startswith(OWN_CHAINS):
            continue
        target, port = options.get("--to-destination", ""), options.get("--dport", "")
        if not target or not re.fullmatch(r"\d+(?::\d+)?", port):
            continue
        version = 6 if target.startswith("[") else 4
        network = ip_network(options["-d"]) if "-d" in options else None
        if network is not None and network.version == version:
            if network.is_loopback:
                continue
            address = ip_address(network.network_address) if network.num_addresses == 1 else None
        else:
            address = None
        yield PublishedPort(options.get("-p", "tcp"), port, address, target, version)


def is_engines(rule: str) -> bool:
    """Whether a rule or chain, as iptables-save prints it, is one of a container engine's own."""
    return bool(_ENGINE.search(rule) or _HAIRPIN.search(rule))
