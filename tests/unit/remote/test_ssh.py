"""ssh's configuration for the hosts of an inventory, judged by ssh itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.remote.ssh import SshConnector, become

pytestmark = pytest.mark.unit

HOST = "mta1.eu.shop.example"
OTHER = "mta1.us.shop.example"


def understood(connector: SshConnector, host: str = HOST) -> dict[str, str]:
    """What ssh takes from the configuration."""
    done = subprocess.run(
        ["ssh", "-F", str(connector.config), "-G", host], capture_output=True, text=True, check=True
    )
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def test_ssh_has_the_inventorys_connection_data(tmp_path: Path) -> None:
    data = {
        "ssh_hostname": "2001:db8::1",
        "ssh_port": 2222,
        "ssh_user": "admin",
        "ssh_key": f"{tmp_path}/a key",
        "ssh_known_hosts_file": f"{tmp_path}/known",
        "ssh_strict_host_key_checking": "yes",
        "ssh_connect_retries": 2,
    }
    with SshConnector({HOST: data, OTHER: {}}, is_closed=True) as connector:
        taken = understood(connector)
        other = understood(connector, OTHER)
    wanted = {
        "hostname": "2001:db8::1",
        "port": "2222",
        "user": "admin",
        "identityfile": f"{tmp_path}/a key",
        "identitiesonly": "yes",
        "userknownhostsfile": f"{tmp_path}/known",
        "stricthostkeychecking": "true",
        "connectionattempts": "3",
        "batchmode": "yes",
        "controlmaster": "false",
    }
    assert {key: taken[key] for key in wanted} == wanted
    assert (other["hostname"], other["port"]) == (OTHER, "22")
    assert other["stricthostkeychecking"] == "accept-new"
    assert not connector.config.exists()


def test_each_host_has_the_users_configuration_after_ours(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("Host *\n  User other\n  Port 4\n  ProxyJump bastion\n  RemoteCommand top\n")
    data = {"ssh_user": "admin", "ssh_config_file": str(own)}
    nothing: dict[str, Any] = {"ssh_config_file": str(tmp_path / "none")}
    with SshConnector({HOST: data, OTHER: nothing}) as connector:
        taken = understood(connector)
        other = understood(connector, OTHER)
    assert (taken["user"], taken["port"], taken["proxyjump"]) == ("admin", "4", "bastion")
    assert "remotecommand" not in taken
    assert "proxyjump" not in other
    with SshConnector({HOST: data}, is_closed=True) as connector:
        assert understood(connector)["port"] == "22"


def test_a_kept_connection_has_a_short_path() -> None:
    with SshConnector({HOST: {}, OTHER: {}}, is_closed=True, keep=True) as connector:
        paths = [understood(connector, host)["controlpath"] for host in (HOST, OTHER)]
    assert paths == [str(connector.config.with_name(name)) for name in ("0", "1")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, ()),
        ({"_sudo": False}, ()),
        ({"_sudo": True}, ("sudo", "-H", "-n")),
        ({"_sudo": True, "_sudo_user": "root"}, ("sudo", "-H", "-n", "-u", "root")),
        ({"_doas": True, "_doas_user": "root"}, ("doas", "-n", "-u", "root")),
        ({"_dzdo": True}, ("dzdo", "-H", "-n")),
    ],
)
def test_rights_are_those_of_pyinfra(data: dict[str, Any], words: tuple[str, ...]) -> None:
    assert become(data) == words


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"ssh_password": "hunter2"}, "has ssh_password, and ssh is run without a terminal"),
        ({"ssh_key_password": "hunter2"}, "put the key into your SSH agent"),
        ({"_sudo_password": "hunter2"}, "allow sudo without a password"),
        ({"_su_user": "root"}, "log in as root"),
        ({"ssh_user": 'x"\n  ProxyCommand sh'}, "ssh_user has a quotation mark or a line break"),
    ],
)
def test_what_ssh_cannot_be_given_is_told(data: dict[str, Any], said: str) -> None:
    with pytest.raises(MailfleetError, match=said) as caught:
        SshConnector({HOST: data})
    assert HOST in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_host_without_connection_is_told() -> None:
    with SshConnector({HOST: {}}, is_closed=True) as connector:
        with pytest.raises(MailfleetError, match="a host of pyinfra's @fake connector"):
            connector.argv(OTHER, "true")
        assert connector.argv(HOST, "id -u")[-2:] == (HOST, "id -u")
