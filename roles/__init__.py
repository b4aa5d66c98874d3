"""What a mail host is made of: one module per service, no role importing another.

Each role's `desired(target)` is pure and returns a HostState; this module only lists the roles.
"""

from __future__ import annotations

from mailfleet.host.state import HostState, merge
from mailfleet.host.target import Target
from mailfleet.host.templates import own_templates
from mailfleet.project.folder import templates_folder
from roles import (
    authentication,
    base,
    fail2ban,
    filtering,
    firewall,
    maildirs,
    message,
    mta_sts,
    opendkim,
    postfix,
    ssh,
    submission,
    tls,
    web,
)

# In the order in which services start: the resolver first, the mail system once it can sign,
# look up TLS policies and authenticate, and fail2ban once there are logs.
ROLES = (
    base, ssh, opendkim, message, authentication, filtering, mta_sts, maildirs, postfix, submission, web,
    fail2ban,
)  # fmt: skip


def desired(target: Target) -> HostState:
    """Everything that a host shall be, from the user's own templates where there are any.

    The certificate's agent reloads what reads it; the firewall opens what the others listen on.
    """
    with own_templates(templates_folder(target.fleet.source)):
        return _desired(target)


def _desired(target: Target) -> HostState:
    parts = [role.desired(target) for role in ROLES]
    parts.append(tls.desired(target, [one for part in parts for one in part.services]))
    listeners = [one for part in parts for one in part.listeners]
    return merge((firewall.desired(target, listeners), *parts))
