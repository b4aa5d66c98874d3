"""What protects a host, tried for real: the way out, SSH, sandboxes, upgrades that restart services."""

from __future__ import annotations

import re
import shlex
import uuid
from typing import TYPE_CHECKING

import pytest

from mailfleet.deploy.target import target_of
from mailfleet.host import sandbox
from mailfleet.host.signing import stream_signers
from roles import postfix
from tests.lab.test_mail import SUITES, arrived, submit

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab


def test_port_25_is_for_postfix_alone(deployed_lab: DeployedLab, host: str) -> None:
    code = (
        "import socket\n"
        "for address in ('192.0.2.25', '2001:db8:c0::25'):\n"
        "    try: print(socket.create_connection((address, 25), 5).recv(3).decode())\n"
        "    except ConnectionRefusedError: print('refused')\n"
    )
    users = ("root", "nobody", "opendkim", "postfix")

    def reached() -> dict[str, list[str]]:
        command = f"runuser -u {{}} -- python3 -c {shlex.quote(code)}"
        return {user: deployed_lab.on(host, command.format(user)).split() for user in users}

    expected = {user: ["220" if user == "postfix" else "refused"] * 2 for user in users}
    assert reached() == expected
    # ufw's own commands write its rules anew; ours are not among them.
    deployed_lab.on(host, "ufw allow 8089/tcp && ufw delete allow 8089/tcp")
    try:
        assert reached() == expected
    finally:
        deployed_lab.repair(dns=False)


def test_an_instance_writes_its_own_files_only(
    deployed_lab: DeployedLab, host: str, region: str
) -> None:
    unit = postfix.unit(SUITES[region], "postfix-marketing")
    # What a process of the instance sees, for root: a read-only file system stops it as well.
    enter = (
        f"group=$(systemctl show -p ControlGroup --value {unit});"
        " pid=$(head -n 1 /sys/fs/cgroup$group/cgroup.procs);"
        ' try() { nsenter -t $pid -m sh -c "touch $1/probe && rm $1/probe" 2>/dev/null'
        " && echo yes || echo no; };"
    )
    writable = ["/var/spool/postfix-marketing", "/var/lib/postfix-marketing", "/var/log/postfix"]
    closed = ["/var/spool/postfix-transactional", "/etc", "/usr/bin", "/var/lib/mailfleet", "/boot"]
    tries = " ".join(f"try {path};" for path in (*writable, *closed))
    said = deployed_lab.on(host, f"mkdir -p /boot; {enter} {tries}").split()
    assert said == ["yes"] * len(writable) + ["no"] * len(closed)
    keys = deployed_lab.on(
        host, f"{enter} nsenter -t $pid -m sh -c 'ls -A /root /home; ls /dev/kmsg 2>&1'"
        " || true"
    )  # fmt: skip
    assert "authorized_keys" not in keys
    assert "No such file" in keys


@pytest.mark.parametrize("service", sandbox.SANDBOXES)
def test_every_sandbox_is_worth_its_name(
    deployed_lab: DeployedLab, host: str, service: str
) -> None:
    """Even on a unit of which the package confines nothing; those of later roles included."""
    text = f"[Service]\nExecStart=/bin/true\n{sandbox.drop_in(f'{service}.service').content}"
    said = deployed_lab.on(
        host,
        f"mkdir -p /run/scored && cat > /run/scored/{service}.service &&"
        f" systemd-analyze security --offline=true --no-pager /run/scored/{service}.service 2>&1;"
        " rm -r /run/scored",
        stdin=text,
    )
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert score is not None, said
    # Half a point is what the package's unit adds, mostly a user; verify judges both together.
    assert float(score[1]) <= round(sandbox.SANDBOXES[service].exposure + 0.5, 1)
    # A directive that systemd does not know is only worth a warning to it.
    assert not re.search(r"Unknown|ignoring", said), said


def test_only_security_updates_install_themselves(deployed_lab: DeployedLab, host: str) -> None:
    said = deployed_lab.on(host, "unattended-upgrade --dry-run --debug 2>&1")
    codename = SUITES["eu" if host == deployed_lab.eu else "us"]
    allowed = re.search(r"Allowed origins are: (.*)", said)
    assert allowed is not None, said
    assert f"origin=Debian,codename={codename}-security,label=Debian-Security" in allowed[1]
    assert "label=Debian," not in f"{allowed[1]},"
    dumped = deployed_lab.on(host, "apt-config dump Unattended-Upgrade::Automatic-Reboot")
    assert dumped.strip() == 'Unattended-Upgrade::Automatic-Reboot "false";'


def test_an_upgrade_restarts_what_runs_old_code_and_loses_no_mail(
    deployed_lab: DeployedLab, host: str, region: str
) -> None:
    machine = deployed_lab.fleet.host(host)
    units = [
        *postfix.units(target_of(deployed_lab.fleet, host, SUITES[region])),
        *(signer.unit for signer in stream_signers(deployed_lab.fleet, machine)),
        "dovecot.service",
        "unbound.service",
    ]
    since = f"systemctl show -p ActiveEnterTimestampMonotonic --value {' '.join(units)}"
    before = deployed_lab.on(host, since).split()
    recipients = []
    for sending, stream in deployed_lab.fleet.host_streams(machine):
        recipients += [f"upgrade-{uuid.uuid4().hex}@inbox.test" for _ in range(3)]
        for recipient in recipients[-3:]:
            submit(deployed_lab, sending, stream, recipient)
    # The same version again: its files are new, so the old ones are only in memory.
    deployed_lab.on(
        host,
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq -y --reinstall install"
        " libc6 $(dpkg-query -W -f '${Package}\\n' 'libssl3*') </dev/null",
    )
    after = deployed_lab.on(host, since).split()
    assert len(before) == len(after) == len(units)
    assert [unit for unit, old, new in zip(units, before, after, strict=True) if old == new] == []
    for recipient in recipients:
        arrived(deployed_lab, recipient)
    assert deployed_lab.on(host, "systemctl --failed --no-legend").strip() == ""
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0
