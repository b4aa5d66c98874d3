"""A lab whose hosts are deployed, for every test that needs real mail servers.

A test takes the fixture `deployed_lab` and gets a `DeployedLab`: both regions of `inventories/lab`
deployed, their DNS published, and signing. All tests of a session share it, so a test that breaks
something repairs it with `deployed_lab.repair()`, also when it fails (`try: ... finally: ...`).

The lab has a name of its own and is taken down at the end. `MAILFLEET_TEST_LAB=NAME` names one to
use and to keep, which saves the minutes that installing packages takes while you work on tests.

Where several processes run the tests side by side (`pytest -n 3`), each has such a lab. The first one
deploys a lab from pristine hosts and stops it; all of theirs start from its files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.cli.lab import spec_of
from mailfleet.model import Fleet
from mailfleet.project import inventory
from tests import labs
from tests.lab import connections, preloaded

if TYPE_CHECKING:
    from tests.lab.test_mail import LabSmtp

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "inventories/lab"


@dataclass(frozen=True)
class Run:
    """What one run of pyinfra did: all that it printed, and how many operations changed something."""

    output: str
    changes: int


@dataclass(frozen=True)
class DeployedLab:
    """A lab with deployed hosts; `eu` runs Debian 12 and `us` Debian 13."""

    name: str
    fleet: Fleet
    eu: str = "mta1.eu.shop.test"
    us: str = "mta1.us.shop.test"

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs so that `inventories/lab` means this lab."""
        return {**os.environ, "MAILFLEET_LAB": self.name}

    def on(self, host: str, command: str, *, stdin: str = "") -> str:
        """The output of a shell command that root runs on a host; it must succeed."""
        argv = [*connections.command(self.name, host), command]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def pyinfra(self, deploy: str, *options: str, inventory: str = INVENTORY) -> Run:
        """Run a deploy like `deploys/mta.py` on the lab as a user does; it must succeed."""
        arguments = ["-y", *options, inventory, deploy]
        done = preloaded.run("pyinfra", arguments, self.environment)
        output = done.stdout + done.stderr
        total = re.search(r"Grand total +(\d+) +(\d+|-)", output)
        assert done.returncode == 0, output
        assert total, output
        return Run(output, 0 if total[2] == "-" else int(total[2]))

    def mailfleet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `mailfleet` command; how it ended is for the test to judge."""
        return preloaded.run("mailfleet", arguments, self.environment)

    def variant(self, folder: Path, change: Callable[[str], str]) -> Path:
        """A copy of the lab's inventory below `folder`, whose domain file is changed."""
        for name in ("inventories", "dns"):
            shutil.copytree(ROOT / name, folder / name)
        path = folder / "dns/shop.test.toml"
        written = path.read_text()
        assert change(written) != written
        path.write_text(change(written))
        return folder / INVENTORY

    def repair(self, *, dns: bool = True) -> None:
        """Bring hosts, and `dns`, back to what the inventory says; the last run changes nothing."""
        if dns:
            self.pyinfra("dns/push.py")
        if self.pyinfra("deploys/mta.py").changes:
            again = self.pyinfra("deploys/mta.py")
            assert again.changes == 0, again.output


@pytest.fixture(scope="session")
def lab_machine() -> Iterator[None]:
    """Skips the test where no lab can be brought up, or fails it if `MAILFLEET_REQUIRE_LAB` is set."""
    try:
        lab.requirements.check_platform()
    except lab.LabError as error:
        if os.environ.get("MAILFLEET_REQUIRE_LAB"):
            raise
        pytest.skip(error.problem)
    yield
    connections.close()
    preloaded.close()


@pytest.fixture(scope="session")
def deployed_lab(
    lab_machine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedLab]:
    """The lab of this session, deployed and published; see this file's own description."""
    name = labs.of_process()
    deployed = DeployedLab(name, _fleet(name))
    try:
        if labs.side_by_side():
            _deploy_base(tmp_path_factory.getbasetemp().parent / "base")
            # Whatever a run that was killed has left.
            lab.down(name, print)
            lab.up_like(name, labs.base(), print)
            for host in (deployed.eu, deployed.us):
                # Once every unit that boots has started, and only if all of them could.
                deployed.on(host, "systemctl is-system-running --wait")
        else:
            _deploy(deployed)
        yield deployed
    finally:
        if os.environ.get(labs.KEPT) != name:
            lab.down(name, print)


# No wider scope: pytest would run a file's tests by region, and not in their order.
@pytest.fixture(params=["eu", "us"])
def region(request: pytest.FixtureRequest) -> str:
    """Both regions, and so both releases: Debian 12 and 13 have other versions of everything."""
    return str(request.param)


@pytest.fixture
def host(deployed_lab: DeployedLab, region: str) -> str:
    """The host of each region."""
    return str(getattr(deployed_lab, region))


@pytest.fixture
def client(deployed_lab: DeployedLab, host: str) -> Iterator[LabSmtp]:
    """A session at the transactional stream that is logged in as its application."""
    # Here: a module of tests has to be imported by pytest, which rewrites its asserts.
    from tests.lab.test_submission import connected, log_in

    with connected(deployed_lab, host, 465) as smtp:
        log_in(deployed_lab, smtp, "orders")
        yield smtp


def _fleet(name: str) -> Fleet:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILFLEET_LAB", name)
        return inventory.read(ROOT / INVENTORY)


def _deploy(deployed: DeployedLab) -> None:
    """Bring a lab up with pristine hosts, unless it is up, and deploy them."""
    lab.up(deployed.name, spec_of(deployed.fleet), print)
    deployed.pyinfra("deploys/mta.py")
    deployed.pyinfra("dns/push.py")
    # Only now the keys are published, and hosts sign only with such keys.
    deployed.pyinfra("deploys/mta.py")


def _deploy_base(outcome: Path) -> None:
    """Deploy the lab that the processes of this run start theirs from; the first one does it."""
    name = labs.base()
    with labs.locked(outcome):
        if not outcome.read_text():
            try:
                lab.down(name, print)
                _deploy(DeployedLab(name, _fleet(name)))
                lab.stop(name, print)
            except BaseException as error:
                outcome.write_text(f"the lab {name} could not be deployed: {error}")
                raise
            outcome.write_text("deployed")
        elif (text := outcome.read_text()) != "deployed":
            pytest.fail(text)
