"""What protects a host, tried for real: the way out, SSH, sandboxes, upgrades that restart services."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import paramiko
import pytest

from mailfleet import sandbox
from mailfleet.deployment import target_of
from mailfleet.signing import stream_signers
from roles import desired, postfix
from tests.lab.test_mail import SUITES, arrived, connect, submit

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

OPERATOR, PASSWORD = "deployer", "correct-horse"


@pytest.fixture(params=["eu", "us"])
def region(request: pytest.FixtureRequest) -> str:
    """Both releases."""
    return str(request.param)


@pytest.fixture
def host(deployed_lab: DeployedLab, region: str) -> str:
    return str(getattr(deployed_lab, region))


def login(deployed: DeployedLab, host: str, user: str, password: str) -> paramiko.Transport:
    """A connection that is opened with a password; BadAuthenticationType where none is taken."""
    address = str(deployed.fleet.host(host).addresses[0])
    transport = paramiko.Transport(connect(deployed, address, 22))
    try:
        transport.start_client(timeout=20)
        transport.auth_password(user, password)
    except BaseException:
        transport.close()
        raise
    return transport


@pytest.mark.parametrize("user", ["root", "nobody", "opendkim", "postfix"])
def test_port_25_is_for_postfix_alone(deployed_lab: DeployedLab, host: str, user: str) -> None:
    code = (
        "import socket\n"
        "for address in ('192.0.2.25', '2001:db8:c0::25'):\n"
        "    try: print(socket.create_connection((address, 25), 5).recv(3).decode())\n"
        "    except ConnectionRefusedError: print('refused')\n"
    )
    command = f"runuser -u {user} -- python3 -c {shlex.quote(code)}"
    expected = ["220", "220"] if user == "postfix" else ["refused", "refused"]
    assert deployed_lab.on(host, command).split() == expected
    # ufw's own commands write its rules anew; ours are not among them.
    deployed_lab.on(host, "ufw allow 8089/tcp && ufw delete allow 8089/tcp")
    try:
        assert deployed_lab.on(host, command).split() == expected
    finally:
        deployed_lab.repair(dns=False)


def test_ssh_takes_no_password(deployed_lab: DeployedLab, host: str) -> None:
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        login(deployed_lab, host, "root", "anything").close()
    assert refused.value.allowed_types == ["publickey"]


@pytest.fixture
def before_hardening(deployed_lab: DeployedLab, host: str) -> Iterator[None]:
    """A host as a provider hands it out, with a user who logs in with a password and uses sudo."""
    deployed_lab.on(
        host,
        "rm -f /etc/ssh/sshd_config.d/10-mailfleet.conf;"
        " printf 'PasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/50-cloud-init.conf;"
        f" useradd -m {OPERATOR}; echo {OPERATOR}:{PASSWORD} | chpasswd;"
        f" echo '{OPERATOR} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deployer;"
        # Not a reload, amid which sshd does not listen for a moment.
        " systemctl restart ssh",
    )
    try:
        yield
    finally:
        deployed_lab.on(
            host,
            f"pkill -u {OPERATOR} sshd; while pgrep -u {OPERATOR} >/dev/null; do sleep 0.1; done;"
            f" userdel -r {OPERATOR} 2>/dev/null; rm -f /etc/sudoers.d/deployer"
            " /etc/ssh/sshd_config.d/50-cloud-init.conf /etc/ssh/sshd_config.d/00-other.conf",
        )
        deployed_lab.repair(dns=False)


def checked(
    deployed: DeployedLab, host: str, region: str, become: str = "sudo "
) -> tuple[int, str]:
    """How the checks of SSH's file end on a connection that was opened with a password."""
    state = desired(target_of(deployed.fleet, host, SUITES[region]))
    names = ("SSH", "the operator's key")
    checks = "\n".join(c.command for name in names for c in state.checks if c.name == name)
    file = next(f for f in state.files if f.path.endswith("10-mailfleet.conf"))
    script = (
        "STAGE=$(mktemp -d) CHECK=$(mktemp -d); export STAGE CHECK\n"
        f"mkdir -p $STAGE/etc/ssh/sshd_config.d $CHECK/etc\n"
        f"printf %s {shlex.quote(file.content)} > $STAGE{file.path}\n{checks}"
    )
    transport = login(deployed, host, OPERATOR, PASSWORD)
    try:
        channel = transport.open_session()
        channel.set_combine_stderr(True)
        channel.exec_command(f"{become}sh -eu -c {shlex.quote(script)}")
        said = channel.makefile().read().decode()
        return channel.recv_exit_status(), said
    finally:
        transport.close()


@pytest.mark.usefixtures("before_hardening")
def test_who_deploys_with_a_password_is_not_locked_out(
    deployed_lab: DeployedLab, host: str, region: str
) -> None:
    code, said = checked(deployed_lab, host, region)
    assert code == 1
    assert (
        "this connection was opened with a password; after this deploy SSH takes keys only" in said
    )
    assert f"ssh-copy-id {OPERATOR}@{host}" in said


@pytest.mark.usefixtures("before_hardening")
def test_a_file_that_comes_first_is_named(
    deployed_lab: DeployedLab, host: str, region: str
) -> None:
    deployed_lab.on(host, "echo PasswordAuthentication yes > /etc/ssh/sshd_config.d/00-other.conf")
    code, said = checked(deployed_lab, host, region)
    assert code == 1
    assert "sshd would still have 'passwordauthentication yes'" in said
    assert "remove the setting from files there that sort before 10-mailfleet.conf" in said


@pytest.mark.usefixtures("before_hardening")
@pytest.mark.parametrize(
    ("methods", "open_"),
    [
        ("publickey,password", False),
        ("publickey # keys only", False),
        ("publickey password", True),
    ],
)
def test_an_exception_below_match_is_named(
    deployed_lab: DeployedLab, host: str, region: str, methods: str, open_: bool
) -> None:
    lines = (
        f"Match User backup\n    PasswordAuthentication yes\n    AuthenticationMethods {methods}\n"
    )
    path = "/etc/ssh/sshd_config.d/00-other.conf"
    deployed_lab.on(host, f"cat > {path}", stdin=lines)
    _, said = checked(deployed_lab, host, region)
    assert ("sshd would still let somebody in without a key" in said) == open_
    assert (f"AuthenticationMethods {methods}" in said) == open_
    assert ("this connection was opened with a password" in said) != open_


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
