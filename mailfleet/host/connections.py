"""How many connections a host serves at the same time, and where those above a limit wait.

Pure. Whoever opens a connection and says nothing holds a process of Postfix. So a client has a limit, a
port has processes for a dozen clients at their limits, and the host has memory for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from mailfleet.host.scanning import Capacity, reserved
from mailfleet.host.state import ConnectionLimit
from mailfleet.model import Fleet, Host, Stream

INBOUND = ConnectionLimit(concurrent=10, per_minute=600, concurrent_network=50)
"""Of port 25. A client that is let in costs a process only once postscreen(8) has passed it. Google sends
all its mail over IPv6 from one network /64 and Microsoft from a few, so these get what Postfix gives a
client by default, 50; mail servers of smaller senders open no more than ten, and wait for the next."""

_CLIENTS = 12
_MOST = 1000
_PROCESS = 2.2
"""MB of memory that a process of smtpd(8) holds for itself, measured with `smaps_rollup` on Debian 12 and
13 while it waits for a client's first word; what it shares with the others is not counted."""
_SHARE = 0.6
"""Of the memory that scanning leaves: the rest is for the system, the signers, the judge and the cache."""
_FEWEST = 4
_FIRST_WAITING = 14_001
"""Below the ports that the host itself connects from (net.ipv4.ip_local_port_range)."""


@dataclass(frozen=True)
class Processes:
    """Of one port; for a stream, at each of its addresses."""

    served: int
    """For clients within their limits."""
    waiting: int
    """For the connections that are above, of all clients together: one after another."""


def inbound_processes(fleet: Fleet, host: Host, capacity: Capacity) -> int:
    """For the whole of port 25."""
    return _fitted(_inbound(host), _scale(fleet, host, capacity))


def stream_processes(fleet: Fleet, host: Host, stream: Stream, capacity: Capacity) -> Processes:
    """Eleven clients with all connections that they may have leave room for a twelfth.

    Fewer where the host has not the memory for all ports at that number.
    """
    wanted, scale = _stream(stream), _scale(fleet, host, capacity)
    return Processes(_fitted(wanted.served, scale), _fitted(wanted.waiting, scale))


def concurrent(stream: Stream, processes: Processes) -> int:
    """How many connections of one client are served: fewer than asked for where processes are few."""
    return min(stream.limits.concurrent_connections, max(1, processes.served // _CLIENTS))


def waiting_ports(fleet: Fleet, host: Host) -> dict[tuple[str, int], int]:
    """Where the connections above the limit of a stream's port wait, by the stream's name and port."""
    openings = [
        (stream.name, port)
        for _, stream in fleet.host_streams(host)
        for port in (stream.tls_port, stream.starttls_port)
    ]
    taken = {host.ssh_port, *(p for _, p in openings), *(o.port for o in host.open_ports)}
    free = (port for port in count(_FIRST_WAITING) if port not in taken)
    return dict(zip(openings, free, strict=False))


def _inbound(host: Host) -> int:
    if not host.inbound:
        return _FEWEST
    return _CLIENTS * INBOUND.concurrent + INBOUND.of_network


def _stream(stream: Stream) -> Processes:
    limit = stream.limits.concurrent_connections
    return Processes(min(_CLIENTS * limit, _MOST), min(2 * limit, _MOST))


def _all(fleet: Fleet, host: Host) -> Iterator[int]:
    yield _inbound(host)
    for sending, stream in fleet.host_streams(host):
        wanted = _stream(stream)
        # Two ports.
        yield 2 * len(sending.addresses) * (wanted.served + wanted.waiting)


def _scale(fleet: Fleet, host: Host, capacity: Capacity) -> float:
    # In steps: another kernel, which leaves some MB more or less, is no change of the configuration.
    memory = capacity.memory // 256 * 256
    room = _SHARE * (memory - reserved(fleet, host, capacity))
    return room / (_PROCESS * sum(_all(fleet, host)))


def _fitted(wanted: int, scale: float) -> int:
    return min(wanted, max(_FEWEST, int(wanted * scale)))
