"""Fresh signatures and rules: the updaters work in their sandboxes, and a failed update harms nobody.

A lab reaches no mirror. freshclam fetches from a stand-in here, with production's configuration;
ClamAV's own files, which only ClamAV can sign, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from mailfleet.host.sandbox import drop_in
from mailfleet.host.scanning import Sizing
from mailfleet.host.templates import render
from tests.lab.test_content_filter import awaited, receive, spam, submit

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

DATABASE = "/var/lib/clamav"
FRESHCLAM = "clamav-freshclam.service"
LOG = "/var/log/clamav/freshclam.log"
TOLD = "Clamd successfully notified about the update"
MIRROR = "http://192.0.2.53:8000/mirror.ndb"
SIGNATURE = f"Mirror-Signature:0:*:{b'from the mirror'.hex()}\n"
OFFICIAL = ("main", "daily", "bytecode")
MAINTENANCE = "spamassassin-maintenance.service"
UPDATES = "/var/lib/spamassassin"


@pytest.fixture
def mirror(deployed_lab: DeployedLab) -> Iterator[DeployedLab]:
    """A web server on the lab's name server that has one file of signatures."""
    deployed_lab.on("ns", "mkdir -p /root/mirror && cat > /root/mirror/mirror.ndb", stdin=SIGNATURE)
    serve = "python3 -m http.server 8000 --directory /root/mirror"
    deployed_lab.on("ns", f"systemd-run --quiet --unit=mirror {serve}")
    try:
        yield deployed_lab
    finally:
        deployed_lab.on("ns", "systemctl stop mirror; rm -r /root/mirror")


def test_freshclam_fetches_tests_and_tells_clamd_in_its_sandbox(
    mirror: DeployedLab, host: str
) -> None:
    configuration = render(
        "etc/clamav/freshclam.conf", database=DATABASE, sizing=Sizing(2, reloads_beside=True)
    )
    for line in (f"DatabaseCustomURL {MIRROR}", *map("ExcludeDatabase {}".format, OFFICIAL)):
        configuration += f"{line}\n"
    folder = f"/run/systemd/system/{FRESHCLAM}.d"
    mirror.on(host, "cp -a /etc/clamav/freshclam.conf /root")
    mirror.on(host, "cat > /etc/clamav/freshclam.conf", stdin=configuration)
    sandbox = drop_in(FRESHCLAM).content
    mirror.on(host, f"mkdir -p {folder} && cat > {folder}/sandbox.conf", stdin=sandbox)
    try:
        # Masked in a fleet that reaches no mirror.
        mirror.on(host, f"systemctl unmask {FRESHCLAM} && systemctl restart {FRESHCLAM}")
        awaited_line = f"until grep -qs '{TOLD}' {LOG}; do sleep 0.2; done"
        said = mirror.on(host, f'timeout 600 sh -c "{awaited_line}"; cat {LOG}')
        assert "Database test passed" in said
        assert TOLD in said
        assert "ERROR" not in said
        assert mirror.on(host, f"cat {DATABASE}/mirror.ndb") == SIGNATURE
        assert mirror.on(host, f"stat -c %U {DATABASE}/mirror.ndb") == "clamav\n"
        assert mirror.on(host, f"systemctl is-active {FRESHCLAM}") == "active\n"
    finally:
        clean = f"rm -rf {folder} {DATABASE}/mirror.ndb {DATABASE}/freshclam.dat {LOG}"
        mirror.on(host, f"systemctl stop {FRESHCLAM}; {clean}; systemctl mask {FRESHCLAM}")
        mirror.on(host, "mv /root/freshclam.conf /etc/clamav/freshclam.conf")


def test_rules_that_cannot_be_fetched_leave_the_ones_that_are_there(
    deployed_lab: DeployedLab, host: str
) -> None:
    deployed_lab.on(host, f"systemctl start {MAINTENANCE} || :")
    assert "channel failed" in deployed_lab.on(host, f"journalctl -b -u {MAINTENANCE} -o cat")
    # Restarted amavis reads its rules anew; so does the check of the next deploy.
    deployed_lab.on(host, "systemctl restart amavis")
    awaited(lambda: receive(deployed_lab, host, None)[0])
    awaited(lambda: submit(deployed_lab, host, "marketing", spam)[0], 550)
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0


def test_an_interrupted_update_does_not_keep_amavis_from_starting(
    deployed_lab: DeployedLab, host: str
) -> None:
    """Whoever pulls the plug during the first update leaves a folder without rules."""
    version = deployed_lab.on(host, "spamassassin --version | grep -o '[0-9.]*$' | head -1")
    major, minor, patch = map(int, version.split("."))
    folder = f"{UPDATES}/{major}.{minor:03}{patch:03}"
    kept = f"{UPDATES}/kept"
    deployed_lab.on(host, f"[ ! -d {folder} ] || mv {folder} {kept}")
    try:
        deployed_lab.on(
            host,
            f"install -d -o debian-spamd {folder}/updates_spamassassin_org && "
            f"echo x > {folder}/updates_spamassassin_org/MIRRORED.BY",
        )
        deployed_lab.on(host, "systemctl restart amavis")
        awaited(lambda: submit(deployed_lab, host, "marketing", spam)[0], 550)
    finally:
        deployed_lab.on(host, f"rm -rf {folder}; [ ! -d {kept} ] || mv {kept} {folder}")
        deployed_lab.on(host, "systemctl restart amavis")


def test_new_rules_are_taken_up(deployed_lab: DeployedLab, host: str) -> None:
    """Debian's hook restarts amavis after an update; nothing of ours may keep it from that."""
    before = deployed_lab.on(host, "systemctl show -P MainPID amavis")
    deployed_lab.on(host, "mv /usr/bin/sa-update /root && ln -s /bin/true /usr/bin/sa-update")
    try:
        deployed_lab.on(host, f"systemctl start {MAINTENANCE}")
    finally:
        deployed_lab.on(host, "mv -f /root/sa-update /usr/bin/sa-update")
    assert deployed_lab.on(host, "systemctl show -P MainPID amavis") != before
    awaited(lambda: submit(deployed_lab, host, "marketing", spam)[0], 550)
