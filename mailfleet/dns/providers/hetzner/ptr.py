"""PTR records: Hetzner has no reverse zones, each server and IP of the project carries its names.

All of them together appear as one made-up zone. It holds the fleet's addresses only, and no name
that Hetzner gave by default. A name below one of the fleet's domains counts as ours, since both the
address and the name are; any other was set by somebody, and is a conflict until it is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from mailfleet.dns.plan.ownership import Slot
from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.hetzner.errors import changed
from mailfleet.dns.records.desired import reverse_name
from mailfleet.dns.rrset import RRset, rrset
from mailfleet.errors import MailfleetError
from mailfleet.model import Address

PTR_RECORDS = "PTR records"
"""The made-up zone."""

# e.g. static.10.113.0.203.clients.your-server.de
_DEFAULT = ".your-server.de"

Holder = BoundServer | BoundPrimaryIP | BoundFloatingIP


@dataclass(frozen=True)
class _Network:
    """An address, or an IPv6 network, of one server or IP, with the names in it."""

    network: IPv4Network | IPv6Network
    holder: Holder
    names: Mapping[Address, str]


_Networks = Mapping[IPv4Network | IPv6Network, _Network]


class PtrRecords:
    """The PTR records of a project. `wanted` tells the fleet's addresses, with names and TTLs."""

    def __init__(
        self,
        connection: Connection,
        wanted: Callable[[], Mapping[Address, RRset]],
        ours: Callable[[str], bool],
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._ours = ours
        self._networks: _Networks | None = None
        self._was_read = False

    def holds(self, address: Address) -> bool:
        """Whether the address belongs to the project."""
        return self._network(address) is not None

    def read(self) -> Zone:
        """The made-up zone as it is now."""
        if self._was_read:
            self._networks = None
        self._was_read = True
        records = tuple(self._current().values())
        ours = (r for r in records if all(self._ours(v.rstrip(".")) for v in r.values))
        return Zone(PTR_RECORDS, records, {Slot(r.name, r.type): frozenset(r.values) for r in ours})

    def audit(self, plan: Plan) -> tuple[Refusal, ...]:
        """Several names for one address, which Hetzner does not have."""
        return tuple(
            Refusal(
                f"{change.key[0]} PTR has {len(change.new.values)} names, and Hetzner holds one",
                change.key,
            )
            for change in plan.changes
            if change.new is not None and len(change.new.values) != 1
        )

    def apply(self, plan: Plan) -> None:
        """Set or reset the names, and wait until it is done."""
        self._networks = None
        now = self._current()
        addresses = {reverse_name(address): address for address in self._wanted()}
        for change in plan.changes:
            address = addresses.get(change.key[0])
            if address is None or now.get(address) != change.old:
                raise changed(PTR_RECORDS, f"{change.key[0]} PTR")
        actions = Actions(self._connection, PTR_RECORDS)
        problem: MailfleetError | None = None
        try:
            for change in plan.changes:
                address = addresses[change.key[0]]
                # Without a dot at the end, unlike in DNS. None brings the default back.
                name = change.new.values[0].rstrip(".") if change.new else None
                actions.add(self._set(address, name), f"{address} PTR")
        except MailfleetError as error:
            problem = error
        actions.finish(problem)

    def _set(self, address: Address, name: str | None) -> BoundAction:
        found = self._network(address)
        assert found is not None
        # The exact address also where a whole IPv6 network is held. The SDK's types forget None.
        send = partial(found.holder.change_dns_ptr, str(address), cast(str, name))
        return self._connection.ask(f"set the PTR record of {address}", send)

    def _current(self) -> dict[Address, RRset]:
        found = {}
        for address, wanted in self._wanted().items():
            network = self._network(address)
            name = network.names.get(address, "").lower().rstrip(".") if network else ""
            if name and not name.endswith(_DEFAULT):
                # There is no TTL to read or set: the wanted one is no difference.
                found[address] = rrset(wanted.name, "PTR", wanted.ttl, f"{name}.")
        return found

    def _network(self, address: Address) -> _Network | None:
        if self._networks is None:
            self._networks = self._list()
        return _holding(self._networks, address)

    def _list(self) -> _Networks:
        client, ask = self._connection.client, self._connection.ask
        entries = [
            *map(_ip, ask("list the primary IPs", client.primary_ips.get_all)),
            *map(_ip, ask("list the floating IPs", client.floating_ips.get_all)),
        ]
        found = {entry.network: entry for entry in reversed(entries)}
        # A server's addresses are primary IPs; some old ones may not be listed as such.
        if not all(_holding(found, address) for address in self._wanted()):
            for server in ask("list the servers", client.servers.get_all):
                for entry in _server(server):
                    found.setdefault(entry.network, entry)
        return found


def _holding(networks: _Networks, address: Address) -> _Network | None:
    """The smallest network with the address; by its length, since a fleet has thousands."""
    own = ip_network(str(address))
    for length in (own.prefixlen, 64):
        if length <= own.prefixlen and (found := networks.get(own.supernet(new_prefix=length))):
            return found
    return next((found for net, found in networks.items() if address in net), None)


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
