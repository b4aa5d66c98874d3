"""Free space and the clock of a host: both break mail in silence, and neither is in any file."""

from __future__ import annotations

from datetime import UTC, datetime

from mailfleet.host.paths import MAIL, QUEUES

FOLDERS = ("/", QUEUES, "/var/lib", "/var/log", MAIL, "/tmp", "/var/tmp")  # noqa: S108
SPACE = f"df --output=avail,iavail,itotal,target -B 1 {' '.join(FOLDERS)}"
"""Prints the free octets, free and all inodes, and the mount point of each file system."""
_OCTETS = 1_000_000_000
# Debian 13 keeps /tmp in memory, half of it. Scanners unpack there what they look into.
_TEMPORARY = {"/tmp": 200_000_000, "/var/tmp": 200_000_000}  # noqa: S108
_INODES = 0.05
CLOCK = "date +%s.%N"
"""Prints the host's time in seconds since 1970."""
_SKEW = 10.0
"""Seconds. Far below what a signature's time stamp (RFC 6376 §3.5, t=) or a certificate bears."""


def space_problems(output: str) -> list[str]:
    """File systems that are nearly full; `output` is what `SPACE` printed."""
    messages = []
    rows = [line.split(maxsplit=3) for line in output.splitlines()]
    for available, inodes, total, target in dict.fromkeys(tuple(r) for r in rows if len(r) == 4):
        if not available.isdigit():
            continue  # the heading
        wanted = _TEMPORARY.get(target, _OCTETS)
        if int(available) < wanted:
            messages.append(
                f"{target} has {int(available) / 1e6:.0f} MB free, expected {wanted / 1e6:.0f}: make room, "
                f"or mail is refused soon; 'du -xh {target} | sort -h | tail' on the host shows what is large"
            )
        # File systems that make inodes as they need them tell none.
        if total.isdigit() and int(total) and int(inodes) < _INODES * int(total):
            messages.append(
                f"{target} has {inodes} of {total} inodes free, expected {_INODES:.0%}: remove files, or "
                f"mail is refused soon; 'du -x --inodes {target} | sort -n | tail' on the host shows "
                "where they are"
            )
    return messages


def clock_problems(output: str, start: float, end: float) -> list[str]:
    """A clock that differs from this machine's by more than ten seconds.

    `output` is what `CLOCK` printed between `start` and `end` of this machine, in seconds since 1970.
    """
    try:
        clock = float(output.strip())
    except ValueError:
        return [f"the host does not tell its time: {output.strip() or 'nothing'}"]
    if start - _SKEW <= clock <= end + _SKEW:
        return []
    seconds = clock - (start if clock < start else end)
    here = datetime.fromtimestamp(end, UTC)
    return [
        f"the clock shows {datetime.fromtimestamp(clock, UTC):%Y-%m-%d %H:%M:%S} UTC, {abs(seconds):.0f} s "
        f"{'ahead of' if seconds > 0 else 'behind'} this machine's {here:%H:%M:%S}: signatures and "
        "certificates are judged by it; see 'timedatectl' and 'systemctl status systemd-timesyncd' there"
    ]
