"""Processes: enough for a dozen clients at their limits, and never more than the host has memory for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.host.connections import concurrent, inbound_processes, stream_processes
from mailfleet.host.scanning import Capacity, reserved
from mailfleet.model import Fleet, Host
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

MB_EACH = 2.2


def serving(streams: int, *, scan: str = "none", **limits: int) -> Fleet:
    """Two hosts that serve so many streams, each at an address of its own for both families."""
    names = [f"s{number}" for number in range(streams)]
    tables: dict[str, Any] = {
        name: {
            "logins": [name], "from_domain": f"{name}.shop.example", "limits": limits, "scan": scan,
        }
        for name in names
    }  # fmt: skip

    def host(last: int) -> dict[str, Any]:
        return {
            "inbound_scan": scan,
            "addresses": [f"192.0.2.{last}", f"2001:db8::{last}"],
            "streams": {
                name: [f"192.0.2.{last + n}", f"2001:db8::{last + n}"]
                for n, name in enumerate(names, start=1)
            },
        }

    hosts = {"a.eu.shop.example": host(10), "b.us.shop.example": host(110)}
    return fleet_of(hosts, {"shop.example": {"streams": tables}})


def total(fleet: Fleet, host: Host, capacity: Capacity) -> int:
    found = inbound_processes(fleet, host, capacity)
    for sending, stream in fleet.host_streams(host):
        one = stream_processes(fleet, host, stream, capacity)
        found += 2 * len(sending.addresses) * (one.served + one.waiting)
    return found


def test_a_large_host_has_room_for_a_dozen_clients() -> None:
    fleet = serving(2)
    found = stream_processes(fleet, fleet.hosts[0], fleet.streams[0], Capacity(16_384, 4))
    assert (found.served, found.waiting) == (120, 20)
    assert inbound_processes(fleet, fleet.hosts[0], Capacity(16_384, 4)) == 170


def test_a_host_of_4_gb_stays_within_its_memory() -> None:
    fleet = serving(2)
    found = stream_processes(fleet, fleet.hosts[0], fleet.streams[0], Capacity(4_096, 2))
    # Still room for one client beside ten that hold all they may.
    assert (found.served, found.waiting) == (103, 17)
    assert total(fleet, fleet.hosts[0], Capacity(4_096, 2)) * MB_EACH <= 0.6 * 4_096


def test_another_kernel_changes_nothing() -> None:
    fleet = serving(2)
    host, (stream, _) = fleet.hosts[0], fleet.streams
    found = {stream_processes(fleet, host, stream, Capacity(m, 2)) for m in (3_900, 3_905, 4_000)}
    assert len(found) == 1


@given(
    streams=st.integers(1, 8),
    limit=st.integers(1, 1000),
    memory=st.integers(2_400, 65_536),
    scan=st.sampled_from(["none", "virus"]),
)
def test_all_ports_together_fit_into_memory(
    streams: int, limit: int, memory: int, scan: str
) -> None:
    fleet = serving(streams, scan=scan, concurrent_connections=limit)
    host, capacity = fleet.hosts[0], Capacity(memory, 2)
    room = 0.6 * (memory - reserved(fleet, host, capacity))
    # Each port has a few processes at least, however small the host is.
    fewest = 4 * (1 + 8 * streams)
    assert total(fleet, host, capacity) * MB_EACH <= room + fewest * MB_EACH
    found = stream_processes(fleet, host, fleet.streams[0], capacity)
    assert 1 <= concurrent(fleet.streams[0], found) <= limit
    # Eleven clients with all that they may have leave room for another.
    assert found.served < 12 or 11 * concurrent(fleet.streams[0], found) < found.served
