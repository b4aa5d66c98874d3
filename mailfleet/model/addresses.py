"""IP addresses: parsed once, compared as values, judged by what they may be used for."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Anything larger is more than one company's.
_LARGEST = {4: 8, 6: 16}

# RFC 5737, RFC 3849 and RFC 9637: examples load and plan everywhere, but no packet to them arrives.
DOCUMENTATION = tuple(
    ip_network(text)
    for text in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    )
)


# RFC 7526, RFC 6052, RFC 8215: IPv4 in IPv6 form, which mail is not taken from.
_TRANSLATED = tuple(ip_network(text) for text in ("2002::/16", "64:ff9b::/96", "64:ff9b:1::/48"))


def parse_address(text: str) -> Address:
    """The address that `text` means; ValueError names what would be right.

    A zone (`%eth0`) or an IPv4-mapped IPv6 address is refused: both mean another address elsewhere.
    """
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an IP address; write e.g. 203.0.113.10 or 2001:db8::10, no prefix length"
        ) from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ValueError(
            f"{text!r} has a zone; write the global address without %{address.scope_id}"
        )
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"{text!r} is an IPv4 address in IPv6 form; write {address.ipv4_mapped}")
    return address


def parse_network(text: str) -> Network:
    """The network that `text` means, a single address included; ValueError names what would be right."""
    try:
        interface = ip_interface(text)
    except ValueError:
        interface = None
    if interface is None or "%" in text:
        raise ValueError(
            f"{text!r} is not a network; write e.g. 203.0.113.0/24, 2001:db8::/48 or 203.0.113.10"
        )
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(
            f"{text!r} is an address within a network; write {network} for the network"
        )
    if network.prefixlen < _LARGEST[network.version]:
        raise ValueError(
            f"{text!r} is a large part of the Internet; write networks of your own, "
            f"/{_LARGEST[network.version]} or smaller"
        )
    return network


def is_documentation(address: Address) -> bool:
    """Whether the address is reserved for examples."""
    return any(
        address in network for network in DOCUMENTATION if network.version == address.version
    )


def is_public(address: Address) -> bool:
    """Whether a mailbox provider could ever see this address as a client's."""
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in n for n in _TRANSLATED if n.version == address.version)
    )
