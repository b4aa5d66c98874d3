"""What hosts are made of: one module per service, no role importing another.

Each role's `desired(target)` returns a HostState, see `mailfleet.host.profile.Role`.
`roles/profiles.py` lists which roles a kind of host has.
"""

from __future__ import annotations

from mailfleet.deploy.target import state_of
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from roles.profiles import MTA


def desired(target: Target) -> HostState:
    """Everything that a mail host shall be, from the user's own templates where there are any."""
    return state_of(MTA, target)
