"""Hosts with one address family, and a stream that shares another one's address on ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailfleet import lab
from mailfleet.cli.lab import spec_of
from mailfleet.deploy.target import target_of
from mailfleet.project import inventory
from roles import desired
from tests import labs
from tests.lab import connections

if TYPE_CHECKING:
    from mailfleet.model import Fleet

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
V4, V6 = "mta1.eu.shop.test", "mta1.us.shop.test"
INVENTORY = """
import os as _os

from mailfleet import inventory as _inventory

eu = [
    (
        "mta1.eu.shop.test",
        {
            "suite": "bookworm",
            "addresses": ["198.51.100.10"],
            "streams": {
                "transactional": ["198.51.100.11"],
                "invoices": "transactional",
            },
        },
    ),
]
us = [
    (
        "mta1.us.shop.test",
        {
            "suite": "trixie",
            "addresses": ["2001:db8:50::10"],
            "streams": {
                "marketing": ["2001:db8:50::12"],
                "receipts": "marketing",
            },
        },
    ),
]

_inventory.declare(
    globals(),
    domains=["shop.test"],
    reverse_dns={"provider": "rfc2136", "server": "192.0.2.53", "key": "mailfleet"},
    lab=_os.environ["MAILFLEET_LAB"],
)
"""
# No stream on both hosts: the authority's question for one host's name could not reach the other.
STREAMS = {V4: ("transactional", "invoices"), V6: ("marketing", "receipts")}
MORE = """
[streams.invoices]
from_domain = "invoices.shop.test"
logins = ["billing"]
tls_port = 2465
starttls_port = 2587

[streams.receipts]
from_domain = "receipts.shop.test"
logins = ["till"]
tls_port = 2465
starttls_port = 2587
"""
SOCKETS = "ss -ltnH | awk '{print $4}' | sed 's/%[a-z0-9]*//'"


@dataclass(frozen=True)
class Families:
    """The lab, and how commands find it."""

    name: str
    fleet: Fleet
    inventory: Path

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run Python with `argv` in the checkout; it must succeed."""
        done = subprocess.run(
            [sys.executable, *argv], cwd=ROOT, env={**os.environ, "MAILFLEET_LAB": self.name},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def pyinfra(self, deploy: str) -> dict[str, Any]:
        """The totals of a run, e.g. `{"success": 3, …}`."""
        done = self.run("-m", "pyinfra", "-y", "--json", str(self.inventory), deploy)
        totals: dict[str, Any] = json.loads(done.stdout)["results"]["totals"]
        return totals

    def on(self, host: str, command: str) -> str:
        """The output of a command on a host."""
        argv = [*connections.command(self.name, host), command]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def families(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Families]:
    """A deployed and published lab of its own."""
    name = labs.of_process("ip")
    folder = tmp_path_factory.mktemp("families")
    shutil.copytree(ROOT / "dns", folder / "dns")
    domain = folder / "dns/shop.test.toml"
    domain.write_text(domain.read_text().replace('[mta_sts]\nmode = "enforce"\n', "") + MORE)
    path = folder / "inventories/families"
    path.parent.mkdir()
    path.write_text(INVENTORY)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILFLEET_LAB", name)
        found = Families(name, inventory.read(path), path)
    try:
        lab.up(name, spec_of(found.fleet), print)
        for deploy in ("deploys/mta.py", "dns/push.py", "deploys/mta.py"):
            assert found.pyinfra(deploy)["error"] == 0
        yield found
    finally:
        lab.down(name, print)


def test_mail_of_every_stream_passes(families: Families) -> None:
    code = "import sys; from mailfleet.cli import main; sys.argv[0] = 'mailfleet'; main()"
    done = families.run("-c", code, "probe", "--json", str(families.inventory))
    found = {
        (entry["host"], entry["stream"], entry["ip_version"]): entry["ok"]
        for entry in json.loads(done.stdout)["probes"]
    }
    assert found == {(h, s, v): True for h, v in ((V4, 4), (V6, 6)) for s in STREAMS[h]}


def test_verify_passes(families: Families) -> None:
    code = "import sys; from mailfleet.cli import main; sys.argv[0] = 'mailfleet'; main()"
    families.run("-c", code, "verify", str(families.inventory))


def test_a_run_changes_nothing_any_more(families: Families) -> None:
    totals = families.pyinfra("deploys/mta.py")
    assert (totals["success"], totals["error"]) == (0, 0)
    assert totals["no_change"] == totals["hosts"] > 0


@pytest.mark.parametrize(("host", "suite", "other"), [(V4, "bookworm", 6), (V6, "trixie", 4)])
def test_the_sockets_are_those_of_the_family(
    families: Families, host: str, suite: str, other: int
) -> None:
    wanted = {
        f"[{address}]:{listener.port}" if address.version == 6 else f"{address}:{listener.port}"
        for listener in desired(target_of(families.fleet, host, suite)).listeners
        for address in listener.addresses
        if listener.protocol == "tcp"
    }
    assert len([w for w in wanted if w.endswith(("465", "587"))]) == 4
    found = set(families.on(host, SOCKETS).split())
    assert wanted <= found
    mail = {socket for socket in found if not socket.endswith((":22", ":53", ":80"))}
    assert mail <= wanted
    assert not [socket for socket in mail if socket.startswith("[") == (other == 6)]
    assert {s for s in found if s.endswith(":80")} == {"[::]:80" if other == 4 else "0.0.0.0:80"}


@pytest.mark.parametrize("host", [V4, V6])
def test_a_shared_address_has_one_name(families: Families, host: str) -> None:
    machine = families.fleet.host(host)
    stream = STREAMS[host][1]
    shared = machine.sending_address(stream)
    assert shared.shares is not None
    name = families.on(host, f"postconf -h -c /etc/postfix-{stream} myhostname").strip()
    # A second name for one address would need a second PTR record, which receivers distrust.
    assert name == f"{shared.shares}.{host}"
