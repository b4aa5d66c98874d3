"""A run in which nothing changes: remote commands, and wall time near and far, beside Ansible."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import play, site
from bench.figures import Figure, Result, Target, median_ratio
from mailfleet import lab
from mailfleet.model import Fleet

NAME = "converged"
_ROUNDS = 3
_DELAY = 0.05


def run() -> Result:
    """Deploy by both tools until neither changes anything, then count, then measure in turns."""
    with site.deployed() as fleet, tempfile.TemporaryDirectory(prefix="mailfleet-bench-") as folder:
        bench = _Bench(fleet, Path(folder))
        with bench.delayed():
            return _measure(bench, fleet)


def _measure(bench: _Bench, fleet: Fleet) -> Result:
    bench.ansible("near")
    site.pyinfra("inventories/lab", "deploys/mta.py")
    _log_sessions(fleet)
    bench.pyinfra("near")
    commands = _sessions(fleet)
    bench.ansible("near")
    theirs = _sessions(fleet)
    site.say(f"converged: {commands} remote commands per host, Ansible {theirs}")
    times: dict[str, list[tuple[float, float]]] = {}
    for where in ("near", "far"):
        times[where] = [(bench.ansible(where), bench.pyinfra(where)) for _ in range(_ROUNDS)]
        medians = [statistics.median(column) for column in zip(*times[where], strict=True)]
        site.say(f"converged, {where}: Ansible {medians[0]:.1f} s, mailfleet {medians[1]:.1f} s")
    ours = {where: statistics.median(mine for _, mine in pairs) for where, pairs in times.items()}
    other = {where: statistics.median(his for his, _ in pairs) for where, pairs in times.items()}
    content = play.content(fleet)
    return Result(
        NAME,
        f"`deploys/mta.py -y` on two hosts ({content}) that are as they should be, against an Ansible "
        "play with the same content (bench/play.py): rendered files copied in one loop, one apt task, "
        "the distribution as the only fact, pipelining, ControlPersist, a fork per host, and neither "
        "keys nor certificates, so that Ansible does less. Both connect anew in every run. Remote "
        "commands are what the hosts' sshd logs; the distance is a proxy that delays each direction "
        f"by {_DELAY * 1000:.0f} ms and limits no throughput. Medians of {_ROUNDS} rounds.",
        (
            Figure("remote commands per host", commands, "", Target("at most", 15)),
            Figure("remote commands per host, Ansible", theirs),
            Figure("wall time at 100 ms round trip", ours["far"], "s", Target("at most", 4)),
            Figure("wall time at 100 ms round trip, Ansible", other["far"], "s"),
            Figure("faster at 100 ms", median_ratio(times["far"]), "x", Target("at least", 10)),
            Figure("wall time without delay", ours["near"], "s"),
            Figure("wall time without delay, Ansible", other["near"], "s"),
            Figure(
                "faster without delay", median_ratio(times["near"]), "x", Target("at least", 10)
            ),
        ),
    )


class _Bench:
    """Both tools on the same hosts, near and far."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        lab_files = lab.files(site.NAME)
        near = {host.name: str(host.addresses[0]) for host in fleet.hosts}
        far = {host.name: f"127.0.1.{n}" for n, host in enumerate(fleet.hosts, 1)}
        self._routes = [f"{far[name]}={near[name]}" for name in near]
        self._known_hosts = folder / "known_hosts"
        known = lab_files.known_hosts.read_text()
        for name, address in far.items():
            known = re.sub(rf"(?m)^(\S*\b{re.escape(name)}\b)", rf"\1,{address}", known)
        self._known_hosts.write_text(known)
        self._play = play.write(folder, fleet)
        self._far = far
        for where, via in (("near", near), ("far", far)):
            play.write_inventory(self._play, where, via, lab_files.ssh_key, self._known_hosts)

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """The proxy that makes the hosts far."""
        argv = [sys.executable, "-m", "bench.delay", str(_DELAY), *self._routes]
        process = subprocess.Popen(
            site.in_internet(*argv), cwd=site.ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise site.BenchError("the delay proxy does not start")
            yield
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def pyinfra(self, where: str) -> float:
        """How long a run takes that changes nothing, in seconds."""
        if where == "near":
            return site.converged("inventories/lab", "deploys/mta.py")
        return site.converged(
            "bench/inventory",
            "deploys/mta.py",
            BENCH_VIA=json.dumps(self._far),
            BENCH_KNOWN_HOSTS=str(self._known_hosts),
        )

    def ansible(self, where: str) -> float:
        """How long a run takes, in seconds."""
        try:
            return site.timed(self._play.command(where), self._play.environment)
        finally:
            # A connection that is kept for the next run would spare that one its log-in.
            for socket in self._play.control.glob("*"):
                command = ["ssh", "-F", "none", "-O", "exit", "-S", str(socket), "any"]
                subprocess.run(command, capture_output=True, check=False)


def _log_sessions(fleet: Fleet) -> None:
    """Let the hosts' sshd log every command, and begin to count."""
    for host in fleet.hosts:
        site.on(
            host.name,
            "echo LogLevel VERBOSE > /etc/ssh/sshd_config.d/bench.conf\nsystemctl reload ssh",
        )
    _sessions(fleet)


def _sessions(fleet: Fleet) -> int:
    """The most commands and file transfers that any host was asked for since the last count."""
    counts = []
    for host in fleet.hosts:
        log = site.on(
            host.name,
            "journalctl --sync\n"
            "journalctl -q -t sshd -t sshd-session -o cat --cursor-file=/run/bench-cursor",
        )
        counts.append(len(re.findall(r"Starting session: (?:command|subsystem)", log)))
    # The question itself is a session too.
    return max(counts) - 1
