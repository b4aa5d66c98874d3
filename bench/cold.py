"""A deploy on pristine hosts, against nothing but the installation of the same packages."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench import site
from bench.figures import Figure, Result, Target, median_ratio
from mailfleet import lab
from mailfleet.deploy.target import target_of
from roles import desired

NAME = "cold"
_ROUNDS = 4
_WAITS_FOR_MIRRORS = "clamav-freshclam-once.service"
"""Started while Debian 13 installs clamav-freshclam: it waits 40 s for mirrors that a lab cannot reach."""


def run() -> Result:
    """Deploy and bare installation in turns, each on hosts of its own."""
    pairs = []
    try:
        site.say("cold: warms the package cache")
        _on_pristine_hosts(_install)
        for number in range(_ROUNDS):
            if number % 2:
                bare = _on_pristine_hosts(_install)
                deploy = _on_pristine_hosts(_deploy)
            else:
                deploy = _on_pristine_hosts(_deploy)
                bare = _on_pristine_hosts(_install)
            pairs.append((deploy, bare))
            site.say(
                f"cold, round {number + 1} of {_ROUNDS}: deploy {deploy:.1f} s, packages {bare:.1f} s"
            )
    finally:
        site.down()
    return Result(
        NAME,
        "`deploys/mta.py -y` on two pristine hosts at once, against `apt-get update && apt-get install "
        "--no-install-recommends` of the same packages on two pristine hosts at once, without "
        f"{_WAITS_FOR_MIRRORS}, which would wait for ClamAV's mirrors; packages from a warm cache, no "
        f"delay. {_ROUNDS} rounds, the order changing; the ratio is the median of the "
        "rounds' ratios.",
        (
            Figure("deploy / bare installation", median_ratio(pairs), "x", Target("at most", 1.25)),
            Figure("deploy", statistics.median(deploy for deploy, _ in pairs), "s"),
            Figure("bare installation", statistics.median(bare for _, bare in pairs), "s"),
        ),
    )


def _on_pristine_hosts(work: Callable[[], float]) -> float:
    site.up()
    return work()


def _deploy() -> float:
    return site.pyinfra("inventories/lab", "deploys/mta.py")


def _install() -> float:
    """The slower host's time: both install at once, as in the deploy."""
    fleet = site.fleet()

    def install(name: str, packages: tuple[str, ...]) -> float:
        script = (
            f"systemctl --quiet mask {_WAITS_FOR_MIRRORS}; "
            "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && "
            f"apt-get -qq -y install --no-install-recommends {' '.join(packages)}"
        )
        return site.timed([*lab.ssh_command(site.NAME, name), script])

    jobs = [
        (host.name, desired(target_of(fleet, host.name, host.suite)).packages)
        for host in fleet.hosts
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        return max(pool.map(lambda job: install(*job), jobs))
