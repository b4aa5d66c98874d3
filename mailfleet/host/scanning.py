"""Content filtering: what a host scans, through which milter, and how large its scanners may be.

Pure. Figures are in MB of 2^20 bytes, as /proc/meminfo counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, Host, Scan, Stream

# The test strings of eicar.org and of SpamAssassin, in pieces: no scanner shall take this file for them.
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR" + "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE" + "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

# ClamAV's own advice is 3 GB for a host that does nothing else; clamd itself holds a good 1 GB.
FULL_DATABASE = 1500
FIXED_DATABASE = 64
"""Where ClamAV's mirrors are out of reach: clamd loads one signature, and takes 12 MB."""
_SYSTEM = 512
_MASTER = 80
_PROCESS = {"virus": 60, "full": 100}
"""What one process of amavis adds to the master, from docs/benchmarks.md, with room for large mail."""
_FEWEST = 2
_PER_CORE = 2
_MOST = 20


@dataclass(frozen=True)
class Capacity:
    """What a host has, as it says itself."""

    memory: int
    cores: int


@dataclass(frozen=True)
class Milter:
    """How a Postfix service reaches the scanner. `name` is also that of its socket and unit."""

    name: Literal["inbound", "defer", "pass", "virus-defer", "virus-pass"]
    banks: tuple[str, ...] = ()
    """amavis' policy banks, in the order in which they apply; none where clamd alone is asked."""

    @property
    def unit(self) -> str:
        return f"mailfleet-scan-{self.name}.service"

    @property
    def socket(self) -> str:
        return f"/run/mailfleet-scan-{self.name}/milter.sock"

    @property
    def by_amavis(self) -> bool:
        """Whether amavis judges; otherwise clamav-milter hands each mail to clamd (decision 6)."""
        return bool(self.banks)

    @property
    def passes(self) -> bool:
        """Whether mail goes on while a scanner is away."""
        return self.name in ("pass", "virus-pass")

    @property
    def default_action(self) -> Literal["accept", "tempfail"]:
        """What Postfix does while the milter itself does not answer."""
        return "accept" if self.passes else "tempfail"


@dataclass(frozen=True)
class Sizing:
    """How many scan at the same time, and whether new signatures are loaded beside the old ones."""

    processes: int
    reloads_beside: bool


def stream_milter(stream: Stream) -> Milter | None:
    """The scanner of a stream's submissions; None where nothing is scanned."""
    passes = stream.on_scanner_failure == "pass"
    if stream.scan == "none":
        return None
    if stream.scan == "virus":
        return Milter("virus-pass" if passes else "virus-defer")
    if passes:
        return Milter("pass", ("OUTBOUND", "FULL", "PASS"))
    return Milter("defer", ("OUTBOUND", "FULL"))


def inbound_milter(host: Host) -> Milter | None:
    """The scanner of a host's inbound mail; None where nothing is scanned."""
    if host.inbound_scan == "none":
        return None
    return Milter("inbound", ("INBOUND", host.inbound_scan.upper()))


def milters(fleet: Fleet, host: Host) -> tuple[Milter, ...]:
    """Every milter that a host needs, one for each name."""
    wanted = [
        inbound_milter(host),
        *(stream_milter(stream) for _, stream in fleet.host_streams(host)),
    ]
    return tuple({milter.name: milter for milter in wanted if milter}.values())


def level(fleet: Fleet, host: Host) -> Scan:
    """The most that anything on the host is scanned for."""
    asked = {host.inbound_scan, *(stream.scan for _, stream in fleet.host_streams(host))}
    return "full" if "full" in asked else "virus" if "virus" in asked else "none"


def needed(wanted: Scan, *, updates: bool) -> int:
    """The least memory of a host that scans for `wanted`, the system itself included."""
    return _fixed(updates=updates) + _FEWEST * _PROCESS[wanted]


def sizing(wanted: Scan, capacity: Capacity, *, updates: bool) -> Sizing:
    """As many processes as memory allows, but no more than the cores can use."""
    left = capacity.memory - _fixed(updates=updates)
    useful = min(max(_FEWEST, _PER_CORE * capacity.cores), _MOST)
    processes = max(_FEWEST, min(left // _PROCESS[wanted], useful))
    # While new signatures are loaded beside the old ones clamd holds both.
    spare = left - processes * _PROCESS[wanted]
    return Sizing(processes, reloads_beside=spare >= _database(updates=updates))


def reserved(fleet: Fleet, host: Host, capacity: Capacity) -> int:
    """MB that the scanners of a host take; 0 where nothing is scanned."""
    wanted, updates = level(fleet, host), fleet.offers.scanner_updates
    if wanted == "none":
        return 0
    processes = sizing(wanted, capacity, updates=updates).processes
    return _fixed(updates=updates) - _SYSTEM + processes * _PROCESS[wanted]


def check_memory(fleet: Fleet, host: Host, capacity: Capacity) -> None:
    """MailfleetError where the host is too small for what it has to scan."""
    wanted = level(fleet, host)
    updates = fleet.offers.scanner_updates
    if wanted == "none" or capacity.memory >= needed(wanted, updates=updates):
        return
    asking = [
        f"stream {stream.name}" for _, stream in fleet.host_streams(host) if stream.scan != "none"
    ]
    if host.inbound_scan != "none":
        asking.append("inbound mail")
    raise MailfleetError(
        f"{host.name} has {capacity.memory} MB of memory, and scanning needs "
        f"{needed(wanted, updates=updates)} MB: clamd alone holds "
        f"{_database(updates=updates)} MB of signatures",
        f"give the host more memory, or scan nothing on it ({' and '.join(asking)} is scanned): "
        '"inbound_scan": "none" in the host\'s data, and scan = "none" for its streams',
    )


def _database(*, updates: bool) -> int:
    return FULL_DATABASE if updates else FIXED_DATABASE


def _fixed(*, updates: bool) -> int:
    return _SYSTEM + _MASTER + _database(updates=updates)
