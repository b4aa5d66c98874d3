"""What dies comes back by itself, and no accepted mail is lost meanwhile (a short `bench faults`)."""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bench import faults
from roles import postfix
from tests.lab.test_fail2ban import until
from tests.lab.test_mail import SUITES

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

MESSAGES = 400
# More often than systemd starts a unit again by default, and once in a way that looks like an end.
SIGNALS = ("TERM", *["KILL"] * 5)
UNITS = "cd /etc/systemd/system && ls -d *.service.d/50-mailfleet.conf | sed 's/[.]d[/].*//'"


@pytest.mark.parametrize("region", ["eu", "us"])
def test_whatever_dies_comes_back(deployed_lab: DeployedLab, region: str) -> None:
    host = getattr(deployed_lab, region)
    units = deployed_lab.on(host, UNITS).split()
    assert {"dovecot.service", "nginx.service", "unbound.service"} < {*units}

    def started() -> list[str]:
        """When each unit became active; empty while one is not."""
        show = "systemctl show -P ActiveState -P ActiveEnterTimestampMonotonic"
        lines = deployed_lab.on(host, f"{show} {' '.join(units)} | grep .").split()
        return lines[1::2] if {*lines[::2]} == {"active"} else []

    def all_since(before: list[str]) -> bool:
        now = started()
        return bool(now) and all(map(operator.ne, now, before))

    for signal in SIGNALS:
        until(lambda: bool(started()), "all units are up")
        before = started()
        # All processes of each: an instance of Postfix has no main one on Debian 12.
        deployed_lab.on(host, f"systemctl kill -s {signal} {' '.join(units)}")
        until(partial(all_since, before), "all units are started again")
        # Debian 13's inbound waits longer each time, see below.
        units = [unit for unit in units if unit != "postfix.service"]
    done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", host)
    assert done.returncode == 0, done.stdout


STREAMS = "postfix@marketing.service postfix@transactional.service"
SINCE = f"systemctl show -P ActiveState -P ActiveEnterTimestampMonotonic {STREAMS}"


def test_inbound_that_cannot_start_leaves_the_streams_alone(deployed_lab: DeployedLab) -> None:
    """On Debian 13 each new start of inbound restarts the streams, so they become rare."""
    host, inbound = deployed_lab.us, "postfix.service"
    try:
        deployed_lab.on(host, "postconf -c /etc/postfix queue_directory=/nonexistent")
        deployed_lab.on(host, f"systemctl reset-failed {inbound}; systemctl kill -s KILL {inbound}")
        starts = f"systemctl show -P NRestarts {inbound}"
        until(lambda: int(deployed_lab.on(host, starts)) >= 3, "the third start")
        up = ["active"] * 2
        until(lambda: deployed_lab.on(host, SINCE).split()[::2] == up, "the streams")
        before = deployed_lab.on(host, SINCE)
        # Longer than the first pauses.
        deployed_lab.on(host, "sleep 4")
        assert deployed_lab.on(host, SINCE) == before
    finally:
        deployed_lab.repair(dns=False)


def test_a_deploy_that_stops_inbound_leaves_the_streams_alone(deployed_lab: DeployedLab) -> None:
    """On Debian 13 their units are part of inbound's, so that a plain stop would end them, too."""
    host, inbound = deployed_lab.us, "postfix.service"
    before = deployed_lab.on(host, SINCE)
    pid = deployed_lab.on(host, f"systemctl show -P MainPID {inbound}")
    deployed_lab.on(host, f"echo >> /etc/systemd/system/{inbound}.d/50-mailfleet.conf")
    deployed_lab.repair(dns=False)
    assert deployed_lab.on(host, f"systemctl show -P MainPID {inbound}") != pid
    assert deployed_lab.on(host, SINCE) == before


@pytest.mark.parametrize("region", ["eu", "us"])
def test_what_was_accepted_arrives(deployed_lab: DeployedLab, region: str) -> None:
    host = getattr(deployed_lab, region)
    unit = postfix.unit(SUITES[region], "postfix-marketing")
    seed = 20261122
    print(f"seed {seed}")
    try:
        found = faults.measure(deployed_lab.on, host, unit, MESSAGES, seed, (0.1, 0.8))
    finally:
        faults.clean(deployed_lab.on, host, unit)
        deployed_lab.repair()
    assert found.lost == []
    assert {name: len(accepted) for name, accepted in found.acked.items()} == {
        "scanned": MESSAGES // 2,
        "unscanned": MESSAGES // 2,
    }
    assert found.kills, "nothing was killed"
    print(found.kills, found.replies, f"{found.duplicates} duplicates")
