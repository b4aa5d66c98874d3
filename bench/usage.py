"""What a set-up costs the host that it runs on, and when its mail is safe on the disk."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import site

_STOP = "/run/bench-stop"
_TRACE = "/var/tmp/mailfleet-bench-trace"  # noqa: S108 - on a host of the lab
_GROUPS = """\
for group in $(systemctl show -P ControlGroup -- UNITS | sort -u); do
  find "/sys/fs/cgroup$group" -name cgroup.procs -exec cat {} +
done | sort -un"""
# Proportional, so that what processes share counts once.
_SAMPLE = """\
import json, os, subprocess, sys, time
most, stop, pids = 0, sys.argv[1], sys.argv[2]
while not os.path.exists(stop):
    total = 0
    for pid in subprocess.run(["sh", "-c", pids], capture_output=True, text=True).stdout.split():
        try:
            rows = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    most = max(most, total)
    time.sleep(0.2)
print(json.dumps(most))
"""
_REPLY = re.compile(
    r'(?:write|writev|send|sendto|sendmsg)\(\d+(?:<.*?>)?, (?:\[\{iov_base=)?"(\d{3})[ -]'
)
_SYNC = re.compile(r"(?:fsync|fdatasync)(?:\(| resumed>).*= 0$")


def cpu_seconds(host: str) -> float:
    """Processor time that all services of a host have had since it booted."""
    text = site.on(host, "grep usage_usec /sys/fs/cgroup/system.slice/cpu.stat")
    return int(text.split()[1]) / 1e6


def sampling(units: tuple[str, ...]) -> str:
    """The command that samples the units' memory until `end_sampling`, and prints the most, in kB."""
    pids = _GROUPS.replace("UNITS", shlex.join(units))
    return f"rm -f {_STOP}; python3 -c {shlex.quote(_SAMPLE)} {_STOP} {shlex.quote(pids)}"


def end_sampling(host: str) -> None:
    site.on(host, f"touch {_STOP}")


def kilobytes(output: str) -> int:
    """What the command of `sampling` printed."""
    found: Any = json.loads(output.splitlines()[-1])
    return int(found)


@dataclass
class Trace:
    """`text` is what strace wrote, once it has ended."""

    text: str = ""


@contextmanager
def traced(host: str, units: tuple[str, ...]) -> Iterator[Trace]:
    """Within: strace notes what the units' processes synchronise and what they write to clients."""
    pids = _GROUPS.replace("UNITS", shlex.join(units))
    calls = "fsync,fdatasync,write,writev,sendto,sendmsg"
    site.on(
        host,
        f"rm -f {_TRACE}\nlist=$({pids})\n"
        f"setsid strace -f -q -o {_TRACE} -s 60 -e trace={calls} $(printf ' -p %s' $list) "
        "</dev/null >/dev/null 2>&1 &\necho $! > /run/bench-strace\n"
        # It is attached to all of them once the last has it for a tracer.
        "for pid in $list; do\n"
        "  n=0; while [ -e /proc/$pid ] && grep -q 'TracerPid:\t0' /proc/$pid/status && [ $n -lt 100 ]; do\n"
        "    n=$((n + 1)); sleep 0.1; done\ndone",
    )
    trace = Trace()
    try:
        yield trace
    finally:
        site.on(host, "kill $(cat /run/bench-strace) || true; sleep 1")
        trace.text = site.on(host, f"cat {_TRACE}; rm -f {_TRACE}")


def syncs(trace: str) -> list[int]:
    """How many fsync and fdatasync ended between each 354 and the reply to its message.

    The messages must have been submitted one at a time, each after the last was delivered: then all
    that is synchronised in between is this message's.
    """
    found: list[int] = []
    waiting: int | None = None
    for line in trace.splitlines():
        if waiting is not None and _SYNC.search(line):
            waiting += 1
        if (reply := _REPLY.search(line)) is None:
            continue
        if reply[1] == "354":
            waiting = 0
        elif waiting is not None and reply[1].startswith("2"):
            found.append(waiting)
            waiting = None
    return found
