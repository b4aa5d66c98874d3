"""The maildirs of inbound mail: how old and how large they may become."""

from __future__ import annotations

from pathlib import PurePosixPath

from mailfleet.host.mailboxes import FOLDER, FULL_KEY, FULL_TABLE
from mailfleet.host.sandbox import RELOAD
from mailfleet.host.state import Action, Check, ConfigFile, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import agent, render

TIMER = "mailfleet-maildirs.timer"
UNIT = "mailfleet-maildirs.service"
PROGRAM = "/usr/local/lib/mailfleet/agent/maildirs/main.py"
_FIRST = "maildirs"
_UNITS = "etc/systemd/system"


def desired(target: Target) -> HostState:
    """A timer that deletes old mail, and tells Postfix when the maildirs are full."""
    unit = render(
        f"{_UNITS}/{UNIT}",
        program=PROGRAM,
        folder=FOLDER,
        limits=target.fleet.inbound_limits,
        table=FULL_TABLE,
        key=FULL_KEY,
        state=PurePosixPath(FULL_TABLE).parent.name,
    )
    return HostState(
        packages=("python3",),
        files=(
            ConfigFile(PROGRAM, agent("maildirs/main.py"), affects=(_FIRST,)),
            ConfigFile(f"/{_UNITS}/{UNIT}", unit, affects=(RELOAD, _FIRST)),
            ConfigFile(f"/{_UNITS}/{TIMER}", render(f"{_UNITS}/{TIMER}"), affects=(RELOAD, TIMER)),
        ),
        checks=(Check("maildirs", _CHECK),),
        # Once at the beginning: without its table Postfix would answer 451 to all.
        actions=(Action(_FIRST, f"systemctl start {UNIT}"),),
        services=(Service(TIMER),),
    )


_CHECK = f"""\
python3 -I -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$STAGE{PROGRAM}"
"""
