"""The maildirs of inbound mail: how old and how large they may become."""

from __future__ import annotations

from pathlib import PurePosixPath

from agent.lib.configuration import dump
from agent.maildirs.config import Config
from mailfleet.host import agent
from mailfleet.host.mailboxes import FULL_KEY, FULL_TABLE
from mailfleet.host.paths import AGENT_CONFIGURATION, MAILDIRS, UNITS
from mailfleet.host.sandbox import RELOAD
from mailfleet.host.state import Action, ConfigFile, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

TIMER = "mailfleet-maildirs.timer"
UNIT = "mailfleet-maildirs.service"
_CONFIG = f"{AGENT_CONFIGURATION}/maildirs.json"
_FIRST = "maildirs"
_UNITS = "etc/systemd/system"


def desired(target: Target) -> HostState:
    """A timer that deletes old mail, and tells Postfix when the maildirs are full."""
    limits = target.fleet.inbound_limits
    config = Config(MAILDIRS, limits.keep_days, limits.megabytes, FULL_TABLE, FULL_KEY)
    unit = render(
        f"{_UNITS}/{UNIT}",
        command=agent.COMMAND,
        config=_CONFIG,
        folder=MAILDIRS,
        state=PurePosixPath(FULL_TABLE).parent.name,
    )
    return HostState(
        files=(
            ConfigFile(_CONFIG, dump(config), affects=(_FIRST,)),
            ConfigFile(f"{UNITS}/{UNIT}", unit, affects=(RELOAD, _FIRST)),
            ConfigFile(f"{UNITS}/{TIMER}", render(f"{_UNITS}/{TIMER}"), affects=(RELOAD, TIMER)),
        ),
        # Once at the beginning: without its table Postfix would answer 451 to all.
        actions=(Action(_FIRST, f"systemctl start {UNIT}"),),
        services=(Service(TIMER),),
    )
