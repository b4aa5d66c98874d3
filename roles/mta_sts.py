"""Outbound MTA-STS: Debian's postfix-mta-sts-resolver, asked through our own policy service.

The resolver answers `secure` for each domain with an MTA-STS policy, which would switch DANE off
there; RFC 8461 §2 wants DANE to win. `agent/tls_policy/main.py` stands between it and Postfix.
"""

from __future__ import annotations

from agent.lib.configuration import dump
from agent.tls_policy.config import Config
from mailfleet.host import agent
from mailfleet.host.paths import AGENT_CONFIGURATION, UNITS
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.state import Check, ConfigFile, HostState, Service
from mailfleet.host.target import POLICY_SOCKET, Target
from mailfleet.host.templates import render

DAEMON = "postfix-mta-sts-resolver.service"
UNIT = "mailfleet-tls-policy.service"
_CONFIG = f"{AGENT_CONFIGURATION}/tls_policy.json"
# The package's unit may write nowhere else.
DAEMON_SOCKET = "/var/lib/mta-sts/socket"


def desired(_target: Target) -> HostState:
    """Both services and what they read."""
    unit = render(
        "etc/systemd/system/mailfleet-tls-policy.service",
        command=agent.COMMAND,
        config=_CONFIG,
    )
    return HostState(
        packages=("postfix-mta-sts-resolver",),
        files=(
            ConfigFile(
                "/etc/mta-sts-daemon.yml",
                render("etc/mta-sts-daemon.yml", socket=DAEMON_SOCKET),
                affects=(DAEMON,),
            ),
            ConfigFile(f"{UNITS}/{UNIT}", unit, affects=(RELOAD, UNIT)),
            ConfigFile(_CONFIG, dump(Config(POLICY_SOCKET, DAEMON_SOCKET)), affects=(UNIT,)),
            drop_in(DAEMON),
            drop_in(UNIT),
        ),
        checks=(Check("MTA-STS resolver", _CHECK),),
        services=(Service(DAEMON), Service(UNIT, status=agent.status("tls_policy"))),
    )


# The daemon has no option that only checks; this is how it reads its file itself.
_CHECK = """\
python3 -c 'import sys; from postfix_mta_sts_resolver.utils import load_config; load_config(sys.argv[1])' \\
  "$STAGE/etc/mta-sts-daemon.yml"
"""
