"""A deploy that replaces what Postfix asks, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

OLD, NEW = "mailfleet-scan-defer.service", "mailfleet-scan-pass.service"
TIMES = f"""
seconds() {{ date -d "$(systemctl show --timestamp=us+utc -P "$1" "$2")" +%s.%N; }}
seconds ActiveEnterTimestamp {NEW}
stat -c %.9Z /etc/postfix-marketing/main.cf
seconds InactiveEnterTimestamp {OLD}
"""


def test_postfix_learns_of_a_scanner_that_runs_and_the_old_one_ends_last(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    # So that systemd keeps the old unit's times until they are read.
    hosts = (deployed_lab.eu, deployed_lab.us)
    target = deployed_lab.variant(
        tmp_path, lambda text: text.replace('scan = "full"', 'scan = "full"\non_scanner_failure = "pass"')
    )  # fmt: skip
    for host in hosts:
        deployed_lab.on(host, f"systemd-run -q --unit=keeps -p After={OLD} sleep infinity")
    try:
        deployed_lab.pyinfra("deploys/mta.py", inventory=str(target))
        for host in hosts:
            started, told, ended = map(float, deployed_lab.on(host, TIMES).split())
            assert started < told < ended
            assert NEW in deployed_lab.on(host, "cat /var/lib/mailfleet/services")
            assert deployed_lab.on(
                host, "ls /var/lib/mailfleet/late /var/lib/mailfleet/pending"
            ) == ("/var/lib/mailfleet/late:\n\n/var/lib/mailfleet/pending:\n")
            assert deployed_lab.on(host, f"systemctl is-active {OLD} || true") == "inactive\n"
    finally:
        for host in hosts:
            deployed_lab.on(host, "systemctl stop keeps")
        deployed_lab.repair(dns=False)
