"""The lab's fixed addresses: three networks, their gateways and the hosts that every lab has.

All addresses are documentation addresses (RFC 5737, RFC 3849): no route leads to them anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Network:
    """One network of the lab; the router has the first address of both families."""

    name: str
    v4: IPv4Network
    v6: IPv6Network

    @property
    def gateways(self) -> tuple[IPv4Address, IPv6Address]:
        return self.v4[1], self.v6[1]

    def contains(self, address: Address) -> bool:
        return address in (self.v4 if address.version == 4 else self.v6)

    def prefix_length(self, address: Address) -> int:
        return self.v4.prefixlen if address.version == 4 else self.v6.prefixlen


CORE = Network("core", IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8:c0::/64"))
EU = Network("eu", IPv4Network("198.51.100.0/24"), IPv6Network("2001:db8:e0::/64"))
US = Network("us", IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:50::/64"))
NETWORKS = {network.name: network for network in (CORE, EU, US)}
REGIONS = ("eu", "us")

NAMESERVER: tuple[IPv4Address, IPv6Address] = (CORE.v4[53], CORE.v6[0x53])
RESOLVER: tuple[IPv4Address, IPv6Address] = (CORE.v4[54], CORE.v6[0x54])
ACME: tuple[IPv4Address, IPv6Address] = (CORE.v4[14], CORE.v6[0x14])
RECEIVER: tuple[IPv4Address, IPv6Address] = (CORE.v4[25], CORE.v6[0x25])
PACKAGES = CORE.gateways
"""Where the package proxy listens, on `PACKAGES_PORT`."""
PACKAGES_PORT = 3142

NAMESERVER_NAME = "ns.core.test"
RESOLVER_NAME = "resolver.core.test"
ACME_NAME = "acme.core.test"
CORE_ZONE = "core.test"
INBOX_ZONE = "inbox.test"
INBOX_DOMAINS = ("inbox.test", "v4.inbox.test", "v6.inbox.test")
RECEIVER_NAME = "mx.inbox.test"
RECEIVER_V4_NAME = "mx4.inbox.test"
RECEIVER_V6_NAME = "mx6.inbox.test"


def reverse_zone(network: IPv4Network | IPv6Network) -> str:
    """The reverse zone of a network whose prefix ends at a label: `2.0.192.in-addr.arpa`."""
    labels = network.network_address.reverse_pointer.split(".")
    per_label, total = (8, 32) if network.version == 4 else (4, 128)
    return ".".join(labels[(total - network.prefixlen) // per_label :])


REVERSE_ZONES = tuple(
    reverse_zone(family) for network in NETWORKS.values() for family in (network.v4, network.v6)
)
