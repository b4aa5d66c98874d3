"""A second run changes nothing, neither right after the first nor after a reboot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.deploy.target import target_of
from mailfleet.lab import namespaces
from mailfleet.verify import probe
from roles import desired

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SUITES = {"mta1.eu.shop.test": "bookworm", "mta1.us.shop.test": "trixie"}


def test_a_second_run_changes_nothing(deployed_lab: DeployedLab) -> None:
    for host, suite in SUITES.items():
        release = deployed_lab.on(host, ". /etc/os-release; echo $VERSION_CODENAME")
        assert release.strip() == suite
    run_without_changes(deployed_lab)


@pytest.mark.parametrize("host", SUITES)
def test_all_packages_install_at_the_first_go(deployed_lab: DeployedLab, host: str) -> None:
    """apt-get --fix-broken would finish the work of a package that lacks another, and hide it."""
    history = deployed_lab.on(host, "cat /var/log/apt/history.log")
    (first, *_) = [run for run in history.split("\n\n") if " spamassassin:" in run]
    assert "Error:" not in first


@pytest.mark.parametrize("host", SUITES)
def test_after_a_reboot_all_is_up_and_a_run_changes_nothing(
    deployed_lab: DeployedLab, host: str
) -> None:
    boot = "cat /proc/1/stat | cut -d ' ' -f 22; cat /run/mailfleet-test 2>/dev/null; true"
    deployed_lab.on(host, "touch /run/mailfleet-test")
    lab.restart_host(deployed_lab.name, host)
    assert deployed_lab.on(host, f"ls /run; {boot}").count("mailfleet-test") == 0, "it has rebooted"
    # Returns once every unit that boots has started, and says whether all of them could.
    assert deployed_lab.on(host, "systemctl is-system-running --wait").strip() == "running"
    units = [
        service.unit
        for service in desired(target_of(deployed_lab.fleet, host, SUITES[host])).services
        if service.runs
    ]
    assert len(units) >= 8
    states = deployed_lab.on(host, f"systemctl is-active {' '.join(units)} || true")
    assert dict(zip(units, states.split(), strict=True)) == dict.fromkeys(units, "active")
    assert deployed_lab.on(host, "ufw status").startswith("Status: active")
    for tables in ("iptables", "ip6tables"):
        assert deployed_lab.on(host, f"{tables} -S INPUT").startswith("-P INPUT DROP")
    run_without_changes(deployed_lab)
    wanted = probe.probes(deployed_lab.fleet, host)
    verdicts = namespaces.inside(
        namespaces.internet(deployed_lab.name),
        lambda: list(probe.run(deployed_lab.fleet, wanted)),
    )
    assert [verdict.text for verdict in verdicts if not verdict.good] == []


def run_without_changes(deployed: DeployedLab) -> None:
    """Run the deploy once more; every operation must say that nothing was to do, on every host."""
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "--json", "inventories/lab", "deploys/mta.py"],
        cwd=ROOT, env=deployed.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    operations = {entry["name"]: sorted(entry["no_change"]) for entry in results["operations"]}
    assert operations == dict.fromkeys(operations, sorted(SUITES)), done.stderr
    total = len(SUITES) * len(operations)
    assert operations
    assert results["totals"] == {"hosts": total, "success": 0, "error": 0, "no_change": total}
    assert results["failed_hosts"] == []
