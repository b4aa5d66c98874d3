"""Sockets in the file system: nobody on the host but the service's own partners may connect."""

from __future__ import annotations

import re

# systemd's and D-Bus' own are meant for every user; what an operator runs besides is theirs to judge.
_OURS = re.compile(
    r"/run/(amavis|clamav|dovecot|fail2ban|mailfleet-[a-z-]+|opendkim|rspamd|ssh[a-z-]*|unbound)/"
    r"|/var/(spool/postfix|lib/(amavis|clamav|mailfleet|mta-sts|unbound))"
)
COMMAND = "runuser -u nobody -- find /run /var -xdev -type s -writable 2>/dev/null || :"
"""Lists the sockets that a user without any rights may connect to."""


def problems(output: str) -> list[str]:
    """Sockets of the fleet's services among those that `COMMAND` listed."""
    return [
        f"every user of the host may connect to {path}, expected its own partners only; "
        "deploy again, and restart the service if it is still so"
        for path in output.split("\n")
        if _OURS.match(path)
    ]
