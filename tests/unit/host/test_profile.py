"""A profile joins its roles: their order, what joining roles see, and the secrets that they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailfleet.host.profile import Profile, SecretNeed
from mailfleet.host.state import HostState, Service
from mailfleet.host.target import Target
from mailfleet.model import Fleet, Host
from mailfleet.project import inventory
from roles.profiles import MTA

pytestmark = pytest.mark.unit

FLEET = inventory.read("inventories/prod")


class Starts:
    def __init__(self, unit: str) -> None:
        self.unit = unit

    def desired(self, _target: Target) -> HostState:
        return HostState(services=(Service(self.unit),))


class WithSecret(Starts):
    def secrets(self, _fleet: Fleet, host: Host) -> Iterator[SecretNeed]:
        yield SecretNeed("shared", "for all hosts")
        yield SecretNeed(f"own-{host.name}", "for one")


class Joins:
    """Starts a unit whose name tells what it has seen."""

    def desired(self, _target: Target, others: HostState) -> HostState:
        return HostState(services=(Service("+".join(one.unit for one in others.services)),))


def test_joining_roles_see_all_that_the_others_want() -> None:
    profile = Profile("test", (Starts("a"), Starts("b")), after=(Joins(),), before=(Joins(),))
    target = Target(FLEET, FLEET.hosts[0], "bookworm", {})
    units = [service.unit for service in profile.desired(target).services]
    assert units == ["a+b+a+b", "a", "b", "a+b"]


def test_each_secret_is_needed_once() -> None:
    profile = Profile("test", (WithSecret("a"), Starts("b"), WithSecret("c")))
    names = [need.name for need in profile.secrets(FLEET)]
    assert names == ["shared", *(f"own-{host.name}" for host in FLEET.hosts)]


def test_a_mail_server_needs_the_hash_of_each_login() -> None:
    served = {sending.stream for host in FLEET.hosts for sending in host.sending}
    logins = {login for s in FLEET.streams if s.name in served for login in s.logins}
    assert {need.name for need in MTA.secrets(FLEET)} == {f"login-{login}" for login in logins}
