"""Programs on real hosts, outside of a deploy: slow, loud, with odd arguments, on a host that is away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from mailfleet.remote.results import Completed, Stopped, Unreachable
from mailfleet.remote.run import Connector, run
from mailfleet.remote.ssh import SshConnector

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

AWAY = "mta1.away.shop.test"
# What a shell would take apart, run or drop; each octet sequence that ssh or a shell could mind.
ODD = (
    "",
    " ",
    "a b",
    "'",
    '"',
    "\\",
    "$(id)",
    "`id`",
    "$HOME",
    "*",
    "a\nb\n",
    "-n",
    "ümlaut",
    "\x01\x7f",
)


class Entered:
    """ssh from within the lab's network, into which the tests' own process must not go."""

    def __init__(self, ssh: SshConnector, internet: str) -> None:
        self._ssh, self._internet = ssh, internet

    def become(self, host: str) -> Sequence[str]:
        return self._ssh.become(host)

    def argv(self, host: str, command: str) -> Sequence[str]:
        return ("nsenter", f"--net={self._internet}", *self._ssh.argv(host, command))


@pytest.fixture(params=[False, True], ids=["once", "kept"])
def connector(deployed_lab: DeployedLab, request: pytest.FixtureRequest) -> Iterator[Connector]:
    """Both hosts, and one at an address that nobody has."""
    files = lab.files(deployed_lab.name)
    login = {"ssh_user": "root", "ssh_key": str(files.ssh_key)}
    known = {"ssh_known_hosts_file": str(files.known_hosts)}
    addresses = {
        **{host: str(deployed_lab.fleet.host(host).addresses[0]) for host in hosts(deployed_lab)},
        AWAY: "198.51.100.250",
    }
    data = {name: {"ssh_hostname": ip, **login, **known} for name, ip in addresses.items()}
    internet = namespaces.handle(namespaces.internet(deployed_lab.name))
    with SshConnector(data, is_closed=True, keep=request.param) as ssh:
        yield Entered(ssh, str(internet))


def hosts(deployed_lab: DeployedLab) -> tuple[str, str]:
    return deployed_lab.eu, deployed_lab.us


def test_a_host_that_is_away_stops_no_other(
    deployed_lab: DeployedLab, connector: Connector
) -> None:
    eu, us = hosts(deployed_lab)
    results = run(connector, (AWAY, eu, us), ("hostname",))
    away = results.pop(AWAY)
    assert isinstance(away, Unreachable)
    assert "198.51.100.250" in away.reason
    assert results == {host: Completed(0, f"{host}\n".encode(), b"") for host in (eu, us)}


def test_arguments_and_octets_arrive_as_they_are(
    deployed_lab: DeployedLab, connector: Connector
) -> None:
    for host, result in run(connector, hosts(deployed_lab), ("printf", r"%s\0", *ODD)).items():
        assert isinstance(result, Completed), (host, result)
        assert result.stdout.decode().split("\0")[:-1] == list(ODD)
    content = bytes(range(256)) * 20_000
    echoed = run(connector, hosts(deployed_lab), ("cat",), stdin=content)
    assert {*echoed.values()} == {Completed(0, content, b"")}


@pytest.mark.parametrize("code", [1, 255])
def test_an_exit_code_is_the_programs(
    deployed_lab: DeployedLab, connector: Connector, code: int
) -> None:
    script = f"echo not so >&2; exit {code}"
    results = run(connector, hosts(deployed_lab), ("sh", "-c", script))
    assert {*results.values()} == {Completed(code, b"", b"not so\n")}


def test_what_takes_too_long_is_ended_on_the_host(
    deployed_lab: DeployedLab, connector: Connector
) -> None:
    eu, us = hosts(deployed_lab)
    script = f'[ "$(hostname)" = {us} ] || exec sleep 12345'
    results = run(connector, (eu, us), ("sh", "-c", script), seconds=1)
    assert results == {eu: Stopped("no end after 1 s"), us: Completed(0, b"", b"")}
    assert deployed_lab.on(eu, "pgrep -xf 'sleep 12345' || echo none") == "none\n"


def test_a_connection_that_breaks_is_told(deployed_lab: DeployedLab, connector: Connector) -> None:
    script = """\
pid=$PPID
until [ "$(cut -c 1-4 /proc/$pid/comm)" = sshd ]; do pid=$(cut -d " " -f 4 /proc/$pid/stat); done
kill $pid
sleep 60
"""
    for result in run(connector, hosts(deployed_lab), ("sh", "-c", script)).values():
        assert isinstance(result, Unreachable), result
