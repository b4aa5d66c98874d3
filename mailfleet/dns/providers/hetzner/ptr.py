"""PTR records: Hetzner has no reverse zones, each server and IP of the project carries its names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import cast

from hcloud.actions import BoundAction
from hcloud.floating_ips import BoundFloatingIP
from hcloud.primary_ips import BoundPrimaryIP
from hcloud.servers import BoundServer

from mailfleet.apis.hetzner.actions import Actions
from mailfleet.apis.hetzner.client import Connection
from mailfleet.apis.hetzner.errors import read_only
from mailfleet.dns.providers.base import PtrChange
from mailfleet.dns.providers.hetzner.errors import changed
from mailfleet.errors import MailfleetError
from mailfleet.model import Address

# e.g. static.10.113.0.203.clients.your-server.de
_DEFAULT = ".your-server.de"

Holder = BoundServer | BoundPrimaryIP | BoundFloatingIP


@dataclass(frozen=True)
class _Network:
    """An address, or an IPv6 network, of one server or IP, with the names in it."""

    network: IPv4Network | IPv6Network
    holder: Holder
    names: Mapping[Address, str]

    def name(self, address: Address) -> str:
        """What somebody has called the address; empty where Hetzner's default stands."""
        name = self.names.get(address, "").lower().rstrip(".")
        return "" if name.endswith(_DEFAULT) else name


_Networks = Mapping[IPv4Network | IPv6Network, _Network]


class HetznerPtr:
    """The PTR records of a project; see `mailfleet.dns.providers.base.PtrDriver`."""

    label = "hetzner"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, addresses: Collection[Address]) -> dict[Address, str]:
        """The names of the addresses that the project holds, by three lists at most."""
        networks = self._networks(addresses)
        holders = {address: _holding(networks, address) for address in addresses}
        return {a: network.name(a) for a, network in holders.items() if network is not None}

    def audit(self) -> tuple[str, ...]:
        """A token that may only read."""
        return () if self._connection.may_write else (read_only(),)

    def apply(self, changes: Sequence[PtrChange]) -> None:
        """Set or reset the names, and wait until it is done."""
        networks = self._networks([change.address for change in changes])
        holders = [_holding(networks, change.address) for change in changes]
        for change, network in zip(changes, holders, strict=True):
            if network is None or network.name(change.address) != change.old:
                raise changed("PTR records", f"{change.address} PTR")
        actions = Actions(self._connection, "PTR records")
        problem: MailfleetError | None = None
        try:
            for change, network in zip(changes, holders, strict=True):
                assert network is not None
                actions.add(self._set(network.holder, change), f"{change.address} PTR")
        except MailfleetError as error:
            problem = error
        actions.finish(problem)

    def _set(self, holder: Holder, change: PtrChange) -> BoundAction:
        # Without a dot at the end, unlike in DNS. None brings the default back; the SDK's types
        # forget it. The exact address also where a whole IPv6 network is held.
        name = cast(str, change.new or None)
        send = partial(holder.change_dns_ptr, str(change.address), name)
        return self._connection.ask(f"set the PTR record of {change.address}", send)

    def _networks(self, wanted: Collection[Address]) -> _Networks:
        client, ask = self._connection.client, self._connection.ask
        entries = [
            *map(_ip, ask("list the primary IPs", client.primary_ips.get_all)),
            *map(_ip, ask("list the floating IPs", client.floating_ips.get_all)),
        ]
        networks = {entry.network: entry for entry in reversed(entries)}
        # A server's addresses are primary IPs; some old ones may not be listed as such.
        if not all(_holding(networks, address) for address in wanted):
            for server in ask("list the servers", client.servers.get_all):
                for entry in _server(server):
                    networks.setdefault(entry.network, entry)
        return networks


def _holding(networks: _Networks, address: Address) -> _Network | None:
    """The smallest network with the address; by its length, since a fleet has thousands."""
    own = ip_network(str(address))
    for length in (own.prefixlen, 64):
        if length <= own.prefixlen and (network := networks.get(own.supernet(new_prefix=length))):
            return network
    return next((entry for net, entry in networks.items() if address in net), None)


def _ip(holder: BoundPrimaryIP | BoundFloatingIP) -> _Network:
    model = holder.data_model
    names = {ip_address(entry["ip"]): entry["dns_ptr"] for entry in model.dns_ptr or ()}
    return _Network(ip_network(str(model.ip), strict=False), holder, names)


def _server(holder: BoundServer) -> Iterator[_Network]:
    net = holder.data_model.public_net
    if net and net.ipv4:
        address = ip_address(net.ipv4.ip)
        yield _Network(IPv4Network(net.ipv4.ip), holder, {address: net.ipv4.dns_ptr or ""})
    if net and net.ipv6:
        names = {ip_address(entry["ip"]): entry["dns_ptr"] for entry in net.ipv6.dns_ptr or ()}
        yield _Network(IPv6Network(net.ipv6.ip, strict=False), holder, names)
