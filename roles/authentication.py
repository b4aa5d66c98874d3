"""Who inbound mail is really from: the host's own Authentication-Results (decision 9).

It is `agent/authentication/main.py`, which Postfix asks about each mail of port 25 and does
without where it is away.
"""

from __future__ import annotations

from agent.authentication.config import Config
from agent.lib.configuration import dump
from mailfleet.host import agent
from mailfleet.host.authentication import SOCKET, UNIT
from mailfleet.host.paths import AGENT_CONFIGURATION
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.state import ConfigFile, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

_CONFIG = f"{AGENT_CONFIGURATION}/authentication.json"
_TEMPLATE = "etc/systemd/system/mailfleet-authentication.service"


def desired(target: Target) -> HostState:
    """Nothing on a host that takes no mail from outside."""
    if not target.host.inbound:
        return HostState()
    unit = render(_TEMPLATE, command=agent.COMMAND, config=_CONFIG)
    return HostState(
        files=(
            ConfigFile(_CONFIG, dump(Config(SOCKET, target.host.name)), affects=(UNIT,)),
            ConfigFile(
                "/etc/sysusers.d/mailfleet-authentication.conf",
                'u mailfleet-authentication - "mailfleet results of inbound mail"\n',
            ),
            ConfigFile(f"/{_TEMPLATE}", unit, affects=(RELOAD, UNIT)),
            drop_in(UNIT),
        ),
        services=(Service(UNIT, status=agent.status("authentication")),),
    )
