"""A repository that `mailfleet init` wrote, deployed to a lab's hosts, verified, and sending."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

PROGRAM = "import sys; from mailfleet.cli import main; sys.argv[0] = 'mailfleet'; main()"
# What a lab has of its own: authority, reverse zones, and the router that all connections come from.
INTERNET = ('    acme="production",\n', '    acme_contact="postmaster@shop.test",\n')
LAB = """\
    lab=LAB,
    name="lab",
    reverse_dns={"provider": "rfc2136", "server": "192.0.2.53", "key": "mailfleet"},
    never_banned=["198.51.100.1", "2001:db8:e0::1", "203.0.113.1", "2001:db8:50::1"],
"""
# One that holds on Debian 12 alone, and one that says itself where it does not apply.
CHECKS = '''
import pytest


def test_release(host):
    """the host runs Debian 12"""
    assert host.system_info.codename == "bookworm"


def test_queue(host):
    """Debian 13 has a queue"""
    if host.system_info.codename == "bookworm":
        pytest.skip("of Debian 13")
    assert host.file("/var/spool/postfix").is_directory
'''


@dataclass(frozen=True)
class Repository:
    """A user's folder, and commands run from there."""

    folder: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, *arguments],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def repository(
    deployed_lab: DeployedLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """Both hosts as a fleet of one stream, with what `init` writes and the lab's own beside it."""
    folder = tmp_path_factory.mktemp("own")
    Repository(folder).run(
        "init", "mail", "--domain", "shop.test", "--provider", "rfc2136", "--server", "192.0.2.53",
        "--key", "mailfleet", "--host", "eu=198.51.100.11,2001:db8:e0::11",
        "--host", "us=203.0.113.11,2001:db8:50::11",
    )  # fmt: skip
    own = Repository(folder / "mail")
    inventory = own.folder / "inventories/prod"
    written = inventory.read_text()
    lines = [line for line in written.splitlines(keepends=True) if line not in INTERNET]
    assert len(lines) == len(written.splitlines()) - len(INTERNET)
    text = "".join(lines).replace("    globals(),\n", f"    globals(),\n{LAB}")
    # As the lab's own, so that nobody keeps an answer for an hour.
    domain = own.folder / "dns/shop.test.toml"
    domain.write_text(f"ttl = 5\n{domain.read_text()}")
    inventory.write_text(text.replace("LAB", f'"{deployed_lab.name}"'))
    try:
        own.run("deploy", "inventories/prod")
        # Most of what the lab's own fleet has published goes, and comes back in the end.
        own.run("dns", "push", "inventories/prod", "--force")
        own.run("deploy", "inventories/prod")
        yield own
    finally:
        deployed_lab.mailfleet("dns", "push", "inventories/lab", "--force")
        deployed_lab.repair()


def test_the_fleet_is_as_it_should_be(repository: Repository) -> None:
    found = json.loads(repository.run("verify", "inventories/prod", "--json"))
    own = [(one["host"], one["name"]) for one in found["checks"] if one["own"]]
    hosts = ("mta1.eu.shop.test", "mta1.us.shop.test")
    assert own == [(host, "host.there_is_room_for_the_queue") for host in hosts]
    assert found["passed"] == len(found["checks"]) > 100


def test_its_mail_passes(repository: Repository) -> None:
    found = json.loads(repository.run("probe", "inventories/prod", "--json"))
    assert [probe["ok"] for probe in found["probes"]] == [True] * 4


def test_own_checks_fail_and_skip_by_themselves(repository: Repository) -> None:
    path = repository.folder / "checks/test_own.py"
    path.write_text(CHECKS)
    try:
        found = json.loads(repository.run("verify", "inventories/prod", "--json", code=1))
        path.write_text(CHECKS.replace('== "bookworm"\n\n', '!= ""\n\n'))
        repository.run("verify", "inventories/prod", "--limit", "eu")
    finally:
        path.unlink()
    assert {
        (one["host"], one["name"]): one["outcome"]
        for one in found["checks"]
        if one["name"].startswith("own.")
    } == {
        ("mta1.eu.shop.test", "own.release"): "passed",
        ("mta1.us.shop.test", "own.release"): "failed",
        ("mta1.eu.shop.test", "own.queue"): "skipped",
        ("mta1.us.shop.test", "own.queue"): "passed",
    }
    (failed,) = (one for one in found["checks"] if one["outcome"] == "failed")
    assert "'trixie' == 'bookworm'" in failed["message"]
