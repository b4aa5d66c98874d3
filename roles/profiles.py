"""The kinds of hosts, each a list of roles."""

from __future__ import annotations

from mailfleet.host.profile import Profile
from roles import (
    agent,
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

MTA = Profile(
    "mta",
    # Our own programs, which the others start; the resolver; the mail system once it can sign, look up
    # TLS policies and authenticate; and fail2ban once there are logs.
    roles=(
        agent, base, ssh, opendkim, message, authentication, filtering, mta_sts, maildirs, postfix,
        submission, web, fail2ban,
    ),
    # The certificate's agent reloads what reads it.
    after=(tls,),
    # The firewall opens what the others listen on.
    before=(firewall,),
)  # fmt: skip
"""A sending mail server."""
