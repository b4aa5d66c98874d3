"""What hosts would get, as far as the files alone tell."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.deploy.target import preview_of
from mailfleet.host.state import HostState
from mailfleet.model import Fleet, Host
from roles import desired


def previews(
    fleet: Fleet, hosts: Iterable[Host], release: str | None = None
) -> dict[str, HostState]:
    """The state of each host by its name, with every secret as `***`; asks nobody.

    Each has `release`, or else the one that the inventory says. ConfigurationError where a template
    of the user's fails.
    """
    return {host.name: desired(preview_of(fleet, host, release or host.suite)) for host in hosts}
