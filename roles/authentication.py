"""Who inbound mail is really from: the host's own Authentication-Results (decision 9).

It is `agent/authentication/main.py`, which Postfix asks about each mail of port 25 and does
without where it is away.
"""

from __future__ import annotations

from mailfleet.host.authentication import SOCKET, UNIT
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.state import Check, ConfigFile, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import agent, render

# By itself: the judges of streams share some of these modules, and start again at each change of theirs.
_LIBRARY = "/usr/local/lib/mailfleet/inbound"
_MODULES = (
    "__init__", "lib/__init__", "lib/author", "lib/encoded_words", "lib/milter", "lib/systemd",
    "authentication/__init__", "authentication/body_hash", "authentication/dkim_results",
    "authentication/dmarc", "authentication/main", "authentication/results",
)  # fmt: skip
_TEMPLATE = "etc/systemd/system/mailfleet-authentication.service"


def desired(target: Target) -> HostState:
    """Nothing on a host that takes no mail from outside."""
    if not target.host.inbound:
        return HostState()
    unit = render(_TEMPLATE, library=_LIBRARY, socket=SOCKET, host=target.host)
    return HostState(
        packages=("python3", "python3-dkim", "python3-dnspython", "python3-nacl", "python3-spf"),
        files=(
            *(
                ConfigFile(f"{_LIBRARY}/agent/{name}.py", agent(f"{name}.py"), affects=(UNIT,))
                for name in _MODULES
            ),
            ConfigFile(
                "/etc/sysusers.d/mailfleet-authentication.conf",
                'u mailfleet-authentication - "mailfleet results of inbound mail"\n',
            ),
            ConfigFile(f"/{_TEMPLATE}", unit, affects=(RELOAD, UNIT)),
            drop_in(UNIT),
        ),
        checks=(Check("results of inbound mail", _CHECK),),
        services=(Service(UNIT),),
    )


_CHECK = f"""\
cd "$STAGE{_LIBRARY}" && python3 -B -c 'import agent.authentication.main'
"""
