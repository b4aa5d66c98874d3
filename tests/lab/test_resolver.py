"""A resolver that hangs: verify names it and waits for nothing else, and the watchdog ends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from roles.base import RESOLVER, WATCHDOG
from tests.lab.test_fail2ban import until

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

STOP = f"kill -STOP $(systemctl show -P MainPID {RESOLVER})"
# What cannot be judged without names.
DEPENDENT = {
    "addresses.greeting",
    "postfix.greets",
    "relay.from_outside",
    "relay.from_the_host",
    "smuggling.ends",
    "smuggling.turns",
    "tls.versions",
    "tls.certificates",
}


def restarts(lab: DeployedLab, host: str) -> int:
    return int(lab.on(host, f"systemctl show -P NRestarts {RESOLVER}"))


@pytest.mark.parametrize("region", ["eu", "us"])
def test_verify_says_so_and_the_watchdog_brings_it_back(
    deployed_lab: DeployedLab, region: str
) -> None:
    host = getattr(deployed_lab, region)
    before = restarts(deployed_lab, host)
    deployed_lab.on(host, f"systemctl stop {WATCHDOG}; {STOP}")
    try:
        done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", host, "--json")
        checks = json.loads(done.stdout)["checks"]
        failed = {
            check["name"]: check["message"] for check in checks if check["outcome"] == "failed"
        }
        skipped = {check["name"] for check in checks if check["outcome"] == "skipped"}
    finally:
        deployed_lab.on(host, f"systemctl start {WATCHDOG}")
        until(lambda: restarts(deployed_lab, host) > before, "the watchdog has ended the resolver")
    assert done.returncode == 1
    assert "the resolver at 127.0.0.1 does not answer" in failed.pop("resolver.answers")
    # The watchdog, and what asks the resolver by itself.
    assert {*failed} <= {"services.running", "sandbox.processes", "tls.outbound_policies"}, failed
    assert skipped >= DEPENDENT
    until(lambda: bool(deployed_lab.on(host, "getent hosts mx.inbox.test || :")), "names again")


def test_a_clock_that_is_set_reaches_every_instance(deployed_lab: DeployedLab) -> None:
    """A queue manager that was told starts anew, with timers by the clock of now."""

    def managers() -> set[str]:
        return {*deployed_lab.on(deployed_lab.us, "pgrep -x qmgr").split()}

    count = 1 + len(deployed_lab.fleet.host(deployed_lab.us).sending)
    before = managers()
    deployed_lab.on(deployed_lab.us, "systemctl start mailfleet-clock-change.service")
    until(lambda: len(managers() - before) == count, "every queue manager is another one")
