"""pyinfra's own keys of a host's data: how it connects, and as whom it works there.

pyinfra ignores a key that it does not know, and ends with a traceback where a value has the wrong
type, so both are checked here. Which keys pyinfra has, `tests/unit/model/test_model_connection.py` compares
with the release in use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mailfleet.model.types import Table
from mailfleet.model.values import matching

Text = Annotated[str, matching(r"(?s).*\S.*", "write a text that is not blank")]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class ConnectionTable(Table):
    """The keys `ssh_*` (pyinfra's SSH connector) and `_*` (its arguments for every operation).

    `ssh_port` is a key of `HostTable`: the firewall opens it.
    """

    ssh_hostname: Text | None = None
    ssh_user: Text | None = None
    ssh_password: Text | None = None
    ssh_key: Text | None = None
    ssh_key_password: Text | None = None
    ssh_allow_agent: bool = True
    ssh_look_for_keys: bool = True
    ssh_forward_agent: bool = False
    ssh_config_file: Text | None = None
    ssh_known_hosts_file: Text | None = None
    ssh_strict_host_key_checking: Literal["accept-new", "yes", "no", "off", "ask"] = "accept-new"
    ssh_paramiko_connect_kwargs: dict[str, Any] | None = None
    ssh_connect_retries: int = Field(default=0, ge=0, le=100)
    ssh_connect_retry_min_delay: Seconds = 0.1
    ssh_connect_retry_max_delay: Seconds = 0.5
    ssh_file_transfer_protocol: Literal["sftp", "scp"] = "sftp"

    sudo: bool = Field(default=False, alias="_sudo")
    sudo_user: Text | None = Field(default=None, alias="_sudo_user")
    use_sudo_login: bool = Field(default=False, alias="_use_sudo_login")
    sudo_password: Text | None = Field(default=None, alias="_sudo_password")
    preserve_sudo_env: bool = Field(default=False, alias="_preserve_sudo_env")
    su_user: Text | None = Field(default=None, alias="_su_user")
    use_su_login: bool = Field(default=False, alias="_use_su_login")
    preserve_su_env: bool = Field(default=False, alias="_preserve_su_env")
    su_shell: Text | None = Field(default=None, alias="_su_shell")
    su_password: Text | None = Field(default=None, alias="_su_password")
    doas: bool = Field(default=False, alias="_doas")
    doas_user: Text | None = Field(default=None, alias="_doas_user")
    dzdo: bool = Field(default=False, alias="_dzdo")
    dzdo_user: Text | None = Field(default=None, alias="_dzdo_user")
    shell_executable: Text | None = Field(default=None, alias="_shell_executable")
    temp_dir: Text | None = Field(default=None, alias="_temp_dir")
    env: dict[str, str] | None = Field(default=None, alias="_env")
    timeout: int | None = Field(default=None, alias="_timeout", ge=1, le=86_400)
    get_pty: bool = Field(default=False, alias="_get_pty")
    retries: int = Field(default=0, alias="_retries", ge=0, le=100)
    retry_delay: Seconds = Field(default=5, alias="_retry_delay")


OF_OPERATIONS = frozenset(
    {
        "_chdir",
        "_continue_on_error",
        "_if",
        "_ignore_errors",
        "_parallel",
        "_retry_until",
        "_run_once",
        "_serial",
        "_stdin",
        "_success_exit_codes",
    }
)
"""What pyinfra takes too, and what would let a deploy of all operations go half-way or in silence."""

KEYS = tuple(field.alias or name for name, field in ConnectionTable.model_fields.items())


def is_for_pyinfra(key: object) -> bool:
    """Whether a key of a host's data is pyinfra's, by the letters that it begins with."""
    return isinstance(key, str) and key.startswith(("ssh_", "_")) and key != "ssh_port"
