"""What production renders where a lab has something of its own: a first deploy to pristine hosts.

The hosts are a lab's, so that nothing outside answers: no root servers, no mirrors of ClamAV's, no
authority. What is left is what a deploy needs: every check passes, every service starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailfleet import lab
from mailfleet.cli.lab import spec_of
from mailfleet.model import Fleet
from mailfleet.project import inventory
from tests import labs
from tests.lab import connections
from tests.lab.conftest import INVENTORY, ROOT
from tests.lab.test_fail2ban import until

pytestmark = pytest.mark.lab

# pyinfra as ever, but each host is told that its fleet lives in no lab.
PYINFRA = """
import dataclasses, sys
from pyinfra_cli.main import main
from mailfleet import inventory
declared = inventory.current
inventory.current = lambda: dataclasses.replace(declared(), lab=None, acme="production")
main()
"""
# Their work needs what a lab cannot reach, so they try again and again.
WAITING = {"clamav-daemon.service"}


@dataclass(frozen=True)
class Production:
    """A lab whose hosts get what production would."""

    name: str
    fleet: Fleet

    def deploy(self, code: int = 0) -> str:
        """What `deploys/mta.py` prints; it must end with `code`."""
        anything = f"$6$a${'b' * 86}"
        hashes = {f"MAILFLEET_LOGIN_{login}": anything for login in ("ORDERS", "NEWSLETTER")}
        done = subprocess.run(
            [sys.executable, "-c", PYINFRA, "-y", INVENTORY, "deploys/mta.py"],
            cwd=ROOT, env={**os.environ, "MAILFLEET_LAB": self.name, **hashes},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def on(self, host: str, command: str) -> str:
        """The output of a shell command that root runs on a host; it must succeed."""
        argv = [*connections.command(self.name, host), command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def production(lab_machine: None) -> Iterator[Production]:
    """Pristine hosts of both releases, deployed once, in a lab of their own."""
    name = labs.of_process("prod")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILFLEET_LAB", name)
        fleet = inventory.read(ROOT / INVENTORY)
    found = Production(name, fleet)
    try:
        lab.up(name, spec_of(fleet), print)
        said = found.deploy()
        assert "no certificate was ordered yet" in said
        yield found
    finally:
        lab.down(name, print)


@pytest.fixture(params=["eu", "us"])
def host(production: Production, request: pytest.FixtureRequest) -> str:
    return next(h.name for h in production.fleet.hosts if h.region == request.param)


def test_every_service_runs_or_waits_for_the_internet(production: Production, host: str) -> None:
    units = production.on(host, "cat /var/lib/mailfleet/services").split()
    assert {"clamav-freshclam.service", "spamassassin-maintenance.timer"} < {*units}

    def states() -> dict[str, str]:
        said = production.on(host, f"systemctl is-active {' '.join(units)} || :").split()
        return dict(zip(units, said, strict=True))

    until(lambda: "activating" not in {states()[unit] for unit in {*units} - WAITING}, "the units")
    down = {unit for unit, state in states().items() if state != "active"} - WAITING
    # In a container these have nothing to do.
    assert down <= {"systemd-timesyncd.service", "unattended-upgrades.service"}
    assert production.on(host, "systemctl is-enabled clamav-freshclam.service") == "enabled\n"


def test_the_resolver_validates_with_the_root_s_own_key(production: Production, host: str) -> None:
    key = production.on(host, "cat /var/lib/unbound/root.key")
    assert re.search(r"^\.\s.*\sDNSKEY\s", key, re.MULTILINE)


def test_clamd_waits_for_signatures(production: Production, host: str) -> None:
    said = production.on(host, "systemctl show -P SubState clamav-daemon.service; pgrep -fa daily")
    assert said.startswith("running\n")
    assert "/var/lib/clamav/daily.c[vl]d" in said


def test_a_second_deploy_only_tries_again_to_get_a_certificate(production: Production) -> None:
    said = production.deploy()
    rows = re.findall(r"^ +(\S.*?) +2 +(2|-) +- ", said, re.MULTILINE)
    assert [name for name, changed in rows if changed != "-"] == [
        "TLS | Certificate of the authority"
    ], said


def test_production_s_authority_is_asked(production: Production, host: str) -> None:
    config = Path("/etc/mailfleet/certificate.json")
    assert "acme-v02.api.letsencrypt.org" in production.on(host, f"cat {config}")


def test_what_the_operator_installed_is_not_removed(production: Production, host: str) -> None:
    production.on(host, "apt-get -q update && apt-get -qq -y install chrony")
    try:
        said = production.deploy(code=1)
        assert f"[{host}] apt would remove chrony to install what this host needs" in said
        assert production.on(host, "dpkg-query -W -f '${db:Status-Abbrev}' chrony").strip() == "ii"
    finally:
        production.on(host, "apt-get -qq -y remove chrony")
    production.deploy()
