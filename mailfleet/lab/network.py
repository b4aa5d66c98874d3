"""The lab's internet: a router namespace with one bridge per network, and a cable to each host.

No cable leads to the machine's own network, so that no packet can leave, whatever the hosts do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mailfleet.lab import addresses, namespaces
from mailfleet.lab.commands import run
from mailfleet.lab.spec import Host

_IPV6 = Path("/proc/sys/net/ipv6/conf")


def build_internet(lab: str) -> None:
    """Make the router of a lab: all networks, forwarding between them, and nowhere else to go."""
    namespace = namespaces.internet(lab)
    run(["ip", "netns", "add", namespace])
    namespaces.inside(namespace, _prepare_router)
    lines = ["link set lo up"]
    for network in addresses.NETWORKS.values():
        bridge = _bridge(network)
        lines.append(
            f"link add {bridge} address {mac_of(network.gateways[0])}"
            " type bridge stp_state 0 forward_delay 0"
        )
        lines += [
            f"address add {gateway}/{network.prefix_length(gateway)} dev {bridge} nodad"
            for gateway in network.gateways
            if gateway.version == 6
        ]
        lines.append(f"address add {network.gateways[0]}/{network.v4.prefixlen} dev {bridge}")
        lines.append(f"link set {bridge} up")
    # An answer at once beats a time-out: what is not in the lab does not exist.
    lines += ["route add unreachable default", "-6 route add unreachable default"]
    _batch(namespace, lines)


def connect(lab: str, host: Host) -> None:
    """Make the namespace of a host, anew if it is there, with all its addresses and routes."""
    namespace = namespaces.of_host(lab, host.name)
    if namespaces.exists(namespace):
        namespaces.delete(namespace)
    run(["ip", "netns", "add", namespace])
    namespaces.inside(namespace, _no_address_detection)
    port = _port(host)
    internet = namespaces.internet(lab)
    # The far end of a deleted cable can outlive its namespace by a moment.
    run(["sh", "-c", 'ip -n "$0" link delete "$1" 2>/dev/null || :', internet, port])
    _batch(
        internet,
        [
            f"link add {port} type veth"
            f" peer name eth0 address {mac_of(host.addresses[0])} netns {namespace}",
            f"link set {port} master {_bridge(host.network)} up",
        ],
    )
    lines = ["link set lo up", "link set eth0 up"]
    for address in host.addresses:
        flags = " nodad" if address.version == 6 else ""
        length = host.network.prefix_length(address)
        lines.append(f"address add {address}/{length} dev eth0{flags}")
    lines += default_routes(host)
    _batch(namespace, lines)


def default_routes(host: Host) -> list[str]:
    """`ip` commands for the default routes of the families that the host has addresses of."""
    routes = []
    for gateway in host.network.gateways:
        own = [address for address in host.addresses if address.version == gateway.version]
        if own:
            family = "-6 " if gateway.version == 6 else ""
            routes.append(f"{family}route add default via {gateway} src {own[0]}")
    return routes


def _bridge(network: addresses.Network) -> str:
    return f"br-{network.name}"


def _port(host: Host) -> str:
    """The router's end of a host's cable; by address, as names have 15 characters at most."""
    first = host.addresses[0]
    low = int(first) & 0xFFFFFFFF
    return f"p{first.version}-{low:08x}"


def mac_of(address: addresses.Address) -> str:
    """The hardware address of the card that has `address` first.

    It stays the same when a host is connected anew: neighbours that knew the old one would send
    into the void for up to a minute.
    """
    low = (int(address) & 0xFFFFFFFF).to_bytes(4, "big")
    return f"02:0{address.version}:" + low.hex(":")


def _prepare_router() -> None:
    _no_address_detection()
    (_IPV6 / "all/forwarding").write_text("1")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Every packet to nowhere is to be answered, not one per second.
    Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
    Path("/proc/sys/net/ipv6/icmp/ratelimit").write_text("0")


def _no_address_detection() -> None:
    # Duplicate address detection would keep every new IPv6 address unusable for a second or two.
    for interface in ("all", "default"):
        (_IPV6 / interface / "accept_dad").write_text("0")
        (_IPV6 / interface / "accept_ra").write_text("0")


def _batch(namespace: str, lines: Iterable[str]) -> None:
    """Run `ip` commands within `namespace` by one process; a leading -4/-6 picks the family."""
    families: dict[str, list[str]] = {"": [], "-6": []}
    for line in lines:
        if line.startswith("-6 "):
            families["-6"].append(line.removeprefix("-6 "))
        else:
            families[""].append(line)
    for family, commands in families.items():
        if commands:
            flags = [family] if family else []
            run(["ip", *flags, "-n", namespace, "-batch", "-"], stdin="\n".join(commands) + "\n")
