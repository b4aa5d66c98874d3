"""One host's Target: the fleet's values joined by secrets, and by its environment's trust."""

from __future__ import annotations

from dataclasses import replace

from mailfleet.errors import MailfleetError
from mailfleet.host import scanning, signing
from mailfleet.host.profile import Profile
from mailfleet.host.releases import RELEASES
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from mailfleet.host.templates import own_templates
from mailfleet.host.uri_lists import KEY, UriList, checked_key, uri_lists
from mailfleet.model import Fleet, Host
from mailfleet.project.environment import environment_of
from mailfleet.project.folder import templates_folder
from mailfleet.project.login_hashes import login_hashes
from mailfleet.secrets import variable

_HIDDEN = "***"


def target_of(
    fleet: Fleet, name: str, suite: str | None, capacity: scanning.Capacity | None = None
) -> Target:
    """The Target of one host of a fleet.

    MailfleetError where a secret is missing, or memory for what the host has to scan.
    """
    try:
        machine = fleet.host(name)
    except KeyError:
        raise MailfleetError(
            f"{name} is no host of the fleet that {fleet.source} declares",
            "name all hosts above the call of declare, which is the inventory's last line",
        ) from None
    if suite is not None and suite not in RELEASES:
        raise MailfleetError(
            f"{name} runs {suite!r}, for which mailfleet has no configuration",
            f"install one of {', '.join(RELEASES)}",
        )
    logins = login_hashes(fleet, machine)
    environment = environment_of(fleet)
    target = Target(
        fleet,
        machine,
        suite or "",
        logins,
        environment.roots(),
        environment.authority(),
        uri_lists=_uri_lists(fleet, machine),
    )
    if capacity is None:
        return target
    scanning.check_memory(fleet, machine, capacity)
    signing.check_memory(fleet, machine, capacity)
    return replace(target, capacity=capacity)


def state_of(profile: Profile, target: Target) -> HostState:
    """Everything that a host shall be, from the user's own templates where there are any."""
    with own_templates(templates_folder(target.fleet.source)):
        return profile.desired(target)


def preview_of(fleet: Fleet, host: Host, suite: str) -> Target:
    """The Target of a host that nobody has asked, without secrets: each is `***`.

    The scanners' sizes are those of the smallest host that may scan.
    """
    logins = {login: _HIDDEN for _, stream in fleet.host_streams(host) for login in stream.logins}
    environment = environment_of(fleet)
    lists = uri_lists(fleet.offers.uri_list, key=None) if host.inbound_scan == "full" else ()
    return Target(
        fleet, host, suite, logins, environment.roots(), environment.authority(), uri_lists=lists
    )


def _uri_lists(fleet: Fleet, machine: Host) -> tuple[UriList, ...]:
    if machine.inbound_scan != "full":
        return ()
    key = environment_of(fleet).optional_secret(KEY)
    checked = checked_key(key.reveal(), variable(KEY)) if key else None
    return uri_lists(fleet.offers.uri_list, key=checked)
