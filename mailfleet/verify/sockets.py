"""Listening sockets: exactly the planned ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailfleet.host.state import Listener
from mailfleet.model import Address

_ANY = {"0.0.0.0": ("any IPv4",), "[::]": ("any IPv6",), "*": ("any IPv4", "any IPv6")}  # noqa: S104
# What an operating system opens for itself and no fleet can plan: DHCP clients, systemd's stub
# resolver, chrony's command socket.
_PLATFORM = (
    re.compile(r"udp .* port (68|546)( |$)"),
    re.compile(r"(tcp|udp) 127\.0\.0\.5[34] port 53( |$)"),
    re.compile(r"udp (127\.0\.0\.1|::1) port 323( |$)"),
    # unbound asks other servers from random ports.
    re.compile(r"udp .* port \d{4,5} by unbound$"),
)


@dataclass(frozen=True, order=True)
class _Socket:
    protocol: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol} {self.address} port {self.port}"


def problems(listeners: Iterable[Listener], own: Iterable[Address], ss: str) -> list[str]:
    """Planned listeners that nothing serves, and open sockets that nobody planned.

    `own` are the host's addresses, `ss` is what `ss -H -l -n -t -u -p` prints.
    """
    listeners = tuple(listeners)
    # Whether an operator's own service runs, and on which address, is his business.
    operators = {(one.protocol, one.port) for one in listeners if one.served_by == "operator"}
    families = {f"any IPv{address.version}" for address in own}
    planned = {
        _Socket(listener.protocol, address, listener.port): listener.purpose
        for listener in listeners
        if listener.served_by != "operator"
        for address in (map(str, listener.addresses) if listener.addresses else families)
    }
    open_sockets = dict(_parsed(ss))
    missing = [
        f"nothing listens on {socket}, expected {planned[socket]}"
        for socket in sorted(planned.keys() - open_sockets.keys())
    ]
    extra = [
        f"{open_sockets[socket] or 'something'} listens on {socket}, which is not planned"
        for socket in sorted(open_sockets.keys() - planned.keys())
        if (socket.protocol, socket.port) not in operators
        if not any(p.match(f"{socket} by {open_sockets[socket]}") for p in _PLATFORM)
        # A socket for a family that the host is without, beside a planned one for the other.
        and not (socket.address == "any IPv6" and _with(socket, "any IPv4") in planned)
        and not (socket.address == "any IPv4" and _with(socket, "any IPv6") in planned)
    ]
    return missing + extra


def _with(socket: _Socket, address: str) -> _Socket:
    return _Socket(socket.protocol, address, socket.port)


def _parsed(ss: str) -> Iterable[tuple[_Socket, str]]:
    for line in ss.splitlines():
        columns = line.split()
        if len(columns) < 5 or columns[0] not in ("tcp", "udp"):
            continue
        host, _, port = columns[4].rpartition(":")
        process = re.search(r'users:\(\("([^"]+)"', line)
        # 127.0.0.53%lo, [fe80::1]%eth0
        host = re.sub(r"%[^\]]*", "", host)
        for address in _ANY.get(host, (host.strip("[]"),)):
            yield _Socket(columns[0], address, int(port)), process[1] if process else ""
