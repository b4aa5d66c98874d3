"""A run that is cut off at any point is finished by the next one, and nothing is forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailfleet import lab
from mailfleet.cli.lab import spec_of
from mailfleet.project import inventory
from roles import postfix
from tests import labs
from tests.lab.test_mail import SUITES

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
REGIONS = {"eu": "mta1.eu.shop.test", "us": "mta1.us.shop.test"}
# A pyinfra that dies the moment its hosts have their new files: nothing was told of them yet, and those of
# Postfix wait beside their places.
CUT_BEFORE_SERVICES = """
import os, signal
from pyinfra_cli.main import main
from pyinfra.api import FunctionCommand, operation
from mailfleet.operations import services

@operation(is_idempotent=False)
def die(*_, **__):
    yield FunctionCommand(lambda: os.kill(os.getpid(), signal.SIGKILL), (), {})

services.converge = die
main()
"""


@pytest.fixture
def changed(deployed_lab: DeployedLab, tmp_path: Path) -> Iterator[str]:
    """An inventory with another port and message size for one stream; in the end the lab is as before."""
    port = ("[streams.marketing]\n", "[streams.marketing]\ntls_port = 1465\n")
    limits = "\n[streams.marketing.limits]\nmessage_bytes = 31000\n"
    yield str(deployed_lab.variant(tmp_path, lambda text: text.replace(*port) + limits))
    deployed_lab.repair()


def cut_before_services(path: str, environment: dict[str, str]) -> None:
    """A deploy that dies once the files are in place."""
    argv = [sys.executable, "-c", CUT_BEFORE_SERVICES, "-y", path, "deploys/mta.py"]
    cut = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert cut.returncode == -9, cut.stdout + cut.stderr


def test_files_that_went_live_are_told_by_the_next_run(
    deployed_lab: DeployedLab, changed: str
) -> None:
    cut_before_services(changed, deployed_lab.environment)
    for region, host in REGIONS.items():
        unit = postfix.unit(SUITES[region], "postfix-marketing")
        # What the judge may take of the memory follows from the size.
        judge = ("mailfleet-message@marketing.service", "units")
        wanted = sorted(["fail2ban.service", "files", "firewall", unit, *judge])
        assert deployed_lab.on(host, PENDING).split() == wanted
        # Without a reload the new port is neither listened on nor open.
        assert "465" in ports(deployed_lab, host)
        assert "1465" not in ports(deployed_lab, host)
    results = deploy(changed, deployed_lab.environment)
    hosts = sorted(REGIONS.values())
    assert changes(results) == {"Configuration": hosts, "Services": hosts}
    finished(deployed_lab, changed)


JUDGE, ARCHIVE = "mailfleet-message@marketing.service", "/usr/local/lib/mailfleet/agent.pyz"
# As long as before, so that Python still reads the archive.
OTHER_CODE = f"""\
sed -i 's/signing_domain in signers:/signing_domain != signers:/' {ARCHIVE}
systemctl restart {JUDGE}
"""


def test_a_program_that_started_with_other_code_starts_again(deployed_lab: DeployedLab) -> None:
    """The archive is as it should be by then; the process says that it is not."""
    others = "systemctl show -P MainPID mailfleet-message@transactional mailfleet-tls-policy"
    path, environment = "inventories/lab", deployed_lab.environment
    try:
        before = {}
        for host in REGIONS.values():
            deployed_lab.on(host, OTHER_CODE)
            before[host] = deployed_lab.on(host, others)
        cut_before_services(path, environment)
        for host in REGIONS.values():
            assert "signing_domain in signers:" in deployed_lab.on(
                host, f"grep -a signing_domain {ARCHIVE}"
            )
            assert deployed_lab.on(host, PENDING) == ""
        plan = deployed_lab.mailfleet("plan", path)
        assert plan.stdout.count(f"! {JUDGE} is restarted: it runs other code\n") == 2, plan.stdout
    finally:
        done = changes(deploy(path, environment))
    assert done == {"Services": sorted(REGIONS.values())}
    assert {host: deployed_lab.on(host, others) for host in REGIONS.values()} == before
    assert changes(deploy(path, environment)) == {}


def test_a_reboot_amid_the_files_is_repaired(deployed_lab: DeployedLab, changed: str) -> None:
    # The copy of the second file waits for a reader that never comes: the first is live by then.
    folder = "/etc/postfix-marketing"
    for host in REGIONS.values():
        deployed_lab.on(host, f"mkfifo {folder}/master.cf.mailfleet-new")
    with running(changed, deployed_lab.environment):
        for host in REGIONS.values():
            waiting = f"until grep -q 31000 {folder}/main.cf; do sleep 0.1; done"
            deployed_lab.on(host, f"timeout 600 sh -c '{waiting}'")
            lab.restart_host(deployed_lab.name, host)
    for host in REGIONS.values():
        # An interrupted copy is a file that is too short, not a pipe.
        deployed_lab.on(
            host, f"cd {folder}; rm master.cf.mailfleet-new; : > master.cf.mailfleet-new"
        )
        assert "1465" not in deployed_lab.on(host, f"cat {folder}/master.cf")
        assert "files" in deployed_lab.on(host, PENDING).split()
    assert changes(deploy(changed, deployed_lab.environment)).keys() == {
        "Configuration",
        "Services",
    }
    finished(deployed_lab, changed)


@pytest.fixture(scope="module")
def fresh(lab_machine: None) -> Iterator[str]:
    """A lab of two hosts that nothing was installed on."""
    name = labs.of_process("cut")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILFLEET_LAB", name)
        fleet = inventory.read(ROOT / "inventories/lab")
    try:
        lab.up(name, spec_of(fleet), print)
        yield name
    finally:
        lab.down(name, print)


def test_packages_that_were_cut_off_are_installed(fresh: str) -> None:
    environment = {**os.environ, "MAILFLEET_LAB": fresh}
    with running("inventories/lab", environment):
        for host in REGIONS.values():
            waiting = "until grep -qs ' status unpacked ' /var/log/dpkg.log; do sleep 0.05; done"
            subprocess.run(
                [*lab.ssh_command(fresh, host), f"timeout 900 sh -c {waiting!r}"], check=True
            )
        # One host is rebooted, the other only loses its connection: pyinfra is killed now.
        lab.restart_host(fresh, REGIONS["us"])
    deploy("inventories/lab", environment)
    for host in REGIONS.values():
        command = "dpkg --audit; ls /usr/sbin/policy-rc.d 2>/dev/null; true"
        left = subprocess.run(
            [*lab.ssh_command(fresh, host), command], check=True, capture_output=True, text=True
        )
        assert left.stdout == ""
    # Without its names in DNS there can be no order yet, and each deploy looks again.
    assert changes(deploy("inventories/lab", environment)) == {
        "TLS | Certificate of the authority": sorted(REGIONS.values())
    }


def test_mail_waits_until_its_key_is_in_dns(fresh: str) -> None:
    # This lab's DNS was never published, so no key may sign, and unsigned mail must not leave.
    # Nor is there an authority's certificate, so the probe must not ask for one.
    code = (
        "import ssl, sys; ssl.create_default_context = lambda **_: ssl._create_unverified_context();"
        " from mailfleet.cli import main; sys.argv[0] = 'mailfleet'; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "probe", "inventories/lab", "--json"],
        cwd=ROOT, env={**os.environ, "MAILFLEET_LAB": fresh}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    answers = [probe["problem"] for probe in json.loads(done.stdout)["probes"]]
    assert len(answers) == 8
    assert all("answered 451 4.7.1" in answer for answer in answers), answers


PENDING = "ls /var/lib/mailfleet/pending"


@contextmanager
def running(path: str, environment: dict[str, str]) -> Iterator[None]:
    """A deploy that runs meanwhile, and is killed in the end, as if the operator's machine died."""
    argv = [sys.executable, "-m", "pyinfra", "-y", path, "deploys/mta.py"]
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def deploy(path: str, environment: dict[str, str]) -> dict[str, Any]:
    """Run the deploy to its end; it must succeed. What it did, as pyinfra reports it."""
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "--json", path, "deploys/mta.py"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)["results"]
    return results


def changes(results: dict[str, Any]) -> dict[str, list[str]]:
    """The operations that changed something, with the hosts."""
    return {o["name"]: sorted(o["success"]) for o in results["operations"] if o["success"]}


def finished(deployed: DeployedLab, path: str) -> None:
    """All that was changed is in force, nothing is left behind, and nothing remains to do."""
    for host in REGIONS.values():
        assert deployed.on(host, PENDING) == ""
        left = "ls -d /var/lib/mailfleet/stage.* /var/lib/mailfleet/late/* 2>/dev/null || true"
        assert deployed.on(host, left) == ""
        assert deployed.on(host, "find /etc -name '*.mailfleet-new'") == ""
        assert "1465" in ports(deployed, host)
        assert "1465/tcp" in deployed.on(host, "ufw status")
        size = deployed.on(host, "postconf -h -c /etc/postfix-marketing message_size_limit")
        assert size.strip() == "31000"
    assert changes(deploy(path, deployed.environment)) == {}


def ports(deployed: DeployedLab, host: str) -> set[str]:
    """The TCP ports that the marketing instance of a host listens on."""
    address = deployed.fleet.host(host).sending_address("marketing").addresses[0]
    lines = deployed.on(host, f"ss -ltnH src {address} | awk '{{print $4}}'").split()
    return {line.rpartition(":")[2] for line in lines}
