"""SSH's file, tried for real: no passwords, and nobody who deploys is locked out by it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import paramiko
import pytest

from mailfleet.deploy.target import target_of
from roles import desired
from tests.lab.test_mail import SUITES, connect

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

OPERATOR, PASSWORD = "deployer", "correct-horse"


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


def test_ssh_takes_no_password(deployed_lab: DeployedLab, host: str) -> None:
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        login(deployed_lab, host, "root", "anything").close()
    assert refused.value.allowed_types == ["publickey"]


OTHER = "/etc/ssh/sshd_config.d/00-other.conf"


@pytest.fixture(scope="module")
def before_hardening(deployed_lab: DeployedLab) -> Iterator[None]:
    """Hosts as a provider hands them out, with a user who logs in with a password and uses sudo."""
    hosts = (deployed_lab.eu, deployed_lab.us)
    try:
        for host in hosts:
            deployed_lab.on(
                host,
                "rm -f /etc/ssh/sshd_config.d/10-mailfleet.conf;"
                " printf 'PasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/50-cloud-init.conf;"
                f" useradd -m {OPERATOR}; echo {OPERATOR}:{PASSWORD} | chpasswd;"
                f" echo '{OPERATOR} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deployer;"
                # Not a reload, amid which sshd does not listen for a moment.
                " systemctl restart ssh",
            )
        yield
    finally:
        for host in hosts:
            deployed_lab.on(
                host,
                f"pkill -u {OPERATOR} sshd;"
                f" while pgrep -u {OPERATOR} >/dev/null; do sleep 0.1; done;"
                f" userdel -r {OPERATOR} 2>/dev/null; rm -f /etc/sudoers.d/deployer"
                f" /etc/ssh/sshd_config.d/50-cloud-init.conf {OTHER}",
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
    deployed_lab.on(host, f"echo PasswordAuthentication yes > {OTHER}")
    try:
        code, said = checked(deployed_lab, host, region)
    finally:
        deployed_lab.on(host, f"rm {OTHER}")
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
    deployed_lab.on(host, f"cat > {OTHER}", stdin=lines)
    try:
        _, said = checked(deployed_lab, host, region)
    finally:
        deployed_lab.on(host, f"rm {OTHER}")
    assert ("sshd would still let somebody in without a key" in said) == open_
    assert (f"AuthenticationMethods {methods}" in said) == open_
    assert ("this connection was opened with a password" in said) != open_
