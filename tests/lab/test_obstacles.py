"""Hosts that are not as a deploy expects them: named first, or waited for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet.facts.packages import GUARD, GUARD_MARK
from tests.lab import preloaded
from tests.lab.conftest import INVENTORY, ROOT

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

HOLD = "import fcntl,time;f=open('/var/lib/apt/lists/lock','w');fcntl.lockf(f,fcntl.LOCK_EX);time.sleep(900)"
LOCK = "/var/lib/apt/lists/lock"


@contextmanager
def apt_held(deployed_lab: DeployedLab, host: str) -> Iterator[None]:
    """Something to do for apt, and a process that holds one of its locks."""
    deployed_lab.on(host, f"printf '#!/bin/sh\\n# {GUARD_MARK}\\n' > {GUARD}; chmod 755 {GUARD}")
    deployed_lab.on(host, f'systemd-run -q --collect --unit=holds-apt python3 -c "{HOLD}"')
    deployed_lab.on(
        host,
        f"until find /proc/[0-9]*/fd -lname {LOCK} 2>/dev/null | grep -q .; do sleep 0.2; done",
    )
    try:
        yield
    finally:
        deployed_lab.on(host, f"systemctl kill -s KILL holds-apt 2>/dev/null || :; rm -f {GUARD}")


def test_apt_that_is_busy_is_waited_for(deployed_lab: DeployedLab) -> None:
    host = deployed_lab.eu
    argv = [sys.executable, "-m", "pyinfra", "-y", INVENTORY, "deploys/mta.py", "--limit", host]
    said = ""
    with (
        apt_held(deployed_lab, host),
        subprocess.Popen(
            argv, cwd=ROOT, env=deployed_lab.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        for line in process.stdout or ():
            said += line
            if "waiting for apt" in line:
                assert "holds-apt.service" in line
                assert LOCK in line
                deployed_lab.on(host, "systemctl kill -s KILL holds-apt")
        assert process.wait() == 0, said
    assert "waiting for apt" in said
    assert deployed_lab.on(host, f"ls {GUARD} 2>/dev/null || :") == ""


def test_a_process_that_holds_apt_for_good_is_named(deployed_lab: DeployedLab) -> None:
    host = deployed_lab.us
    with apt_held(deployed_lab, host):
        deployed_lab.on(host, "systemctl kill -s STOP holds-apt")
        argv = [sys.executable, "-m", "pyinfra", "-y", INVENTORY, "deploys/mta.py", "--limit", host]
        done = subprocess.run(
            argv, cwd=ROOT, env=deployed_lab.environment, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "apt cannot be used: " in done.stderr
        assert f"holds-apt.service, stopped) holds {LOCK}" in done.stderr


def test_a_file_that_cannot_be_replaced_is_named_first(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    host = deployed_lab.us
    target = deployed_lab.variant(
        tmp_path, lambda text: text.replace("[streams.marketing]", "[streams.marketing]\ntls_port = 1465")
    )  # fmt: skip
    path = "/etc/postfix-marketing/master.cf"
    deployed_lab.on(host, f"mount --bind {path} {path}")
    try:
        argv = [
            sys.executable,
            "-m",
            "pyinfra",
            "-y",
            str(target),
            "deploys/mta.py",
            "--limit",
            host,
        ]
        done = subprocess.run(
            argv, cwd=ROOT, env=deployed_lab.environment, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"[{host}] {path} is a mount of its own" in done.stderr
        # Not even the firewall, whose file comes before.
        assert "1465" not in deployed_lab.on(host, "cat /etc/ufw/user.rules")
        assert deployed_lab.on(host, "ls /var/lib/mailfleet/pending") == ""
    finally:
        deployed_lab.on(host, f"umount {path}")


def test_a_port_that_a_container_gets_is_named_first(deployed_lab: DeployedLab) -> None:
    rule = "PREROUTING -p tcp --dport 25 -j DNAT --to-destination 172.17.0.2:25"
    for host in (deployed_lab.eu, deployed_lab.us):
        # No process holds the port, as with Docker's userland-proxy switched off.
        deployed_lab.on(host, f"iptables -t nat -A {rule}")
    try:
        done = preloaded.run(
            "pyinfra", ["-y", INVENTORY, "deploys/mta.py"], deployed_lab.environment
        )
    finally:
        for host in (deployed_lab.eu, deployed_lab.us):
            deployed_lab.on(host, f"iptables -t nat -D {rule}")
    assert done.returncode == 1
    for host in (deployed_lab.eu, deployed_lab.us):
        said = f"[{host}] tcp port 25 of every IPv4 address leads to a container at 172.17.0.2:25"
        assert said in done.stdout + done.stderr


def test_open_ports_are_open_and_other_rules_are_named(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    for name in ("inventories", "dns"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / INVENTORY
    ports = 'open_ports=[{"port": 9100, "sources": ["203.0.113.0/24", "2001:db8:17::9"]}],'
    path.write_text(path.read_text().replace("    globals(),\n", f"    globals(),\n    {ports}\n"))
    for host in (deployed_lab.eu, deployed_lab.us):
        deployed_lab.on(host, "ufw allow 9200/tcp && ufw allow 22/tcp")
    try:
        said = deployed_lab.pyinfra("deploys/mta.py", inventory=str(path)).output
        for host in (deployed_lab.eu, deployed_lab.us):
            text = (
                f"[{host}] this deploy removes the ufw rule 'allow in tcp port 9200 from anywhere'"
            )
            assert text in said
            assert f"{text}; to keep it, add open_ports=[{{" in said
            assert f"[{host}] this deploy removes the ufw rule 'allow in tcp port 22" not in said
            status = deployed_lab.on(host, "LC_ALL=C ufw status verbose")
            assert [row.split()[3] for row in status.splitlines() if row.startswith("9100")] == [
                "203.0.113.0/24",
                "2001:db8:17::9",
            ]
            saved = deployed_lab.on(host, "iptables-save; ip6tables-save")
            assert "-A ufw-user-input -s 203.0.113.0/24 -p tcp -m tcp --dport 9100" in saved
            assert "-A ufw6-user-input -s 2001:db8:17::9/128 -p tcp -m tcp --dport 9100" in saved
    finally:
        deployed_lab.repair(dns=False)
