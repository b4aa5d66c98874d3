"""pyinfra's own keys in an inventory: those that exist, rightly spelt, with values that pyinfra takes."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from pyinfra.api.arguments import all_argument_meta
from pyinfra.connectors.ssh import SSHConnector

from mailfleet.model import connection
from mailfleet.model.schema import HostTable
from tests.unit.model.test_model_schema import HOST, problems

pytestmark = pytest.mark.unit


def test_every_key_of_pyinfra_is_known() -> None:
    ssh = set(get_type_hints(SSHConnector.data_cls)) - set(HostTable.model_fields)
    assert {key for key in connection.KEYS if key.startswith("ssh_")} == ssh
    operation = set(all_argument_meta) - {"name"}
    known = {key for key in connection.KEYS if key.startswith("_")}
    assert known | connection.OF_OPERATIONS == operation
    assert not known & connection.OF_OPERATIONS


def test_what_an_inventory_says_of_a_connection() -> None:
    data: dict[str, Any] = {
        "ssh_hostname": "bastion",
        "ssh_user": "admin",
        "ssh_key": "~/.ssh/id_ed25519",
        "ssh_strict_host_key_checking": "yes",
        "ssh_paramiko_connect_kwargs": {"disabled_algorithms": {}},
        "ssh_connect_retries": 3,
        "ssh_connect_retry_max_delay": 2,
        "_sudo": True,
        "_sudo_user": "root",
        "_env": {"LC_ALL": "C"},
        "_timeout": 600,
    }
    assert problems({**HOST, **data}) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("ssh_usr", "admin", "ssh_usr: unknown key; did you mean 'ssh_user'?"),
        ("ssh_prot", 22, "ssh_prot: unknown key; did you mean 'ssh_port'?"),
        ("shh_key", "k", "shh_key: unknown key; did you mean 'ssh_key'?"),
        (
            "ssh_identity_file",
            "k",
            "ssh_identity_file: unknown key; did you mean 'ssh_config_file'?",
        ),
        ("_suod", True, "_suod: unknown key; did you mean '_sudo'?"),
        ("sudo", True, "sudo: unknown key; did you mean '_sudo'?"),
        ("_become", True, "_become: unknown key; known are ssh_hostname, ssh_user,"),
        ("_ignore_errors", True, "_ignore_errors: belongs to single operations of pyinfra"),
        ("_run_once", True, "_run_once: belongs to single operations of pyinfra"),
        ("_sudo", "yes", "_sudo: 'yes' is not true or false"),
        ("ssh_user", 5, "ssh_user: 5 is not a text"),
        ("ssh_user", " ", "ssh_user: ' ' does not fit; write a text that is not blank"),
        ("_timeout", 10**30, "_timeout: a number of more than 64 bits is too large"),
        ("ssh_connect_retry_max_delay", float("nan"), "ssh_connect_retry_max_delay: nan is not a"),
        ("ssh_connect_retry_max_delay", "5", "ssh_connect_retry_max_delay: '5' is not a number"),
        ("ssh_file_transfer_protocol", "ftp", "ssh_file_transfer_protocol: 'ftp' is not known"),
        ("_env", {"A": 1}, "_env.A: 1 is not a text"),
    ],
)
def test_a_wrong_key_or_value(key: str, value: object, expected: str) -> None:
    (problem,) = problems({**HOST, key: value})
    assert problem.startswith(f"inventories/prod: host mta1.shop.example: {expected}"), problem


def test_problems_of_both_kinds_come_at_once() -> None:
    assert len(problems({**HOST, "ssh_usr": "x", "adresses": [], "_suod": True})) == 3
