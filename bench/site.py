"""The benchmarks' lab: its hosts, pristine or deployed, and commands on them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from mailfleet import lab
from mailfleet.errors import MailfleetError
from mailfleet.lab import namespaces
from mailfleet.model import Fleet
from mailfleet.project import inventory

ROOT = Path(__file__).parents[1]
NAME = "bench"
RECEIVER = ip_address("192.0.2.25")
TOOLS = Path(sys.executable).parent
"""Where pyinfra's and Ansible's commands are."""
_PATIENCE = 300


class BenchError(MailfleetError):
    """A benchmark could not be run to its end."""


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def fleet() -> Fleet:
    """The fleet that is measured: inventories/lab, in the benchmarks' own lab."""
    os.environ["MAILFLEET_LAB"] = NAME
    return inventory.read("inventories/lab")


def spec(more: tuple[lab.Machine, ...] = ()) -> lab.LabSpec:
    """The lab that the fleet needs, with `more` hosts that no deploy touches."""
    declared = fleet()
    machines = tuple(
        lab.Machine(host.name, host.suite, host.region, host.all_addresses)
        for host in declared.hosts
    )
    return lab.LabSpec((*machines, *more), tuple(domain.zone for domain in declared.domains))


def up(more: tuple[lab.Machine, ...] = ()) -> None:
    """Pristine hosts, whatever was there before."""
    lab.down(NAME, _quiet)
    lab.up(NAME, spec(more), _quiet)


def down() -> None:
    lab.down(NAME, _quiet)


@contextmanager
def deployed(
    change: tuple[str, str] | None = None, more: tuple[lab.Machine, ...] = ()
) -> Iterator[Fleet]:
    """A lab that is deployed and published, and taken down at the end, also after a failure.

    `change` replaces its first text with its second in the lab's domain file; `more` are hosts that
    stay pristine.
    """
    say("brings a lab up and deploys it")
    with TemporaryDirectory(prefix="mailfleet-bench-") as folder:
        source = variant(Path(folder), *change) if change else "inventories/lab"
        try:
            up(more)
            # Signing starts with the deploy after the keys have become visible in DNS.
            for job in ("deploys/mta.py", "dns/push.py", "deploys/mta.py"):
                pyinfra(source, job)
            yield fleet()
        finally:
            down()


def variant(folder: Path, before: str, after: str) -> str:
    """A copy of the lab's inventory below `folder`, with another domain file; the inventory's path."""
    for name in ("inventories", "dns"):
        shutil.copytree(ROOT / name, folder / name)
    path = folder / "dns/shop.test.toml"
    text = path.read_text(encoding="utf-8")
    if before not in text:
        raise BenchError(f"dns/shop.test.toml has no {before!r}")
    path.write_text(text.replace(before, after), encoding="utf-8")
    return str(folder / "inventories/lab")


def pyinfra(source: str, job: str, **environment: str) -> float:
    """Run a pyinfra job on an inventory; how long it took, in seconds."""
    argv = [str(TOOLS / "pyinfra"), source, job, "-y"]
    return timed(argv, environment)


def converged(source: str, job: str, **environment: str) -> float:
    """How long a run takes that has nothing to do; BenchError where it changes anything."""
    argv = [str(TOOLS / "pyinfra"), source, job, "-y"]
    took, output = _finished(argv, environment)
    total = re.search(r"Grand total +\d+ +(\S+)", output)
    if total is None or total[1] != "-":
        differs = [line for line in output.splitlines() if "differs: " in line]
        raise BenchError(f"{source} was to change nothing, and did:\n" + "\n".join(differs))
    return took


def timed(argv: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """How long a command takes, in seconds; BenchError with its last words if it fails."""
    return _finished(argv, environment)[0]


def _finished(argv: Sequence[str], environment: dict[str, str] | None) -> tuple[float, str]:
    began = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "MAILFLEET_LAB": NAME, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    if done.returncode != 0:
        words = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise BenchError(f"`{' '.join(argv)[:100]}` ended with {done.returncode}:\n{words}")
    return took, done.stdout


def on(host: str, script: str, patience: int = _PATIENCE) -> str:
    """Run a shell script on a host as root, for `patience` seconds at most; what it prints."""
    try:
        done = subprocess.run(
            [*lab.ssh_command(NAME, host), "sh", "-s"],
            input=f"export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C\nset -e\n{script}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{host}: not done after {patience} s: {script[:100]}") from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-500:]
        raise BenchError(f"{host}: exit code {done.returncode}: {words}")
    return done.stdout


def in_internet(*argv: str) -> list[str]:
    """The command that runs `argv` where the lab's operators stand."""
    return ["nsenter", f"--net={namespaces.handle(namespaces.internet(NAME))}", *argv]


def _quiet(_text: str) -> None:
    """The lab's own progress: too much between the benchmarks'."""
