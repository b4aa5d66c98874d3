"""Every secret that a fleet's deploy and push look up, and whether it is set; nothing is revealed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from mailfleet.dns.providers.registry import secrets_of
from mailfleet.host.profile import Profile
from mailfleet.model import Fleet, ProviderSettings
from mailfleet.project.environment import environment_of
from mailfleet.secrets import optional_secret, variable

_OWN = "MAILFLEET_"


@dataclass(frozen=True)
class RequiredSecret:
    """`variable` is the environment variable, or the key of the sops file."""

    variable: str
    purpose: str
    is_set: bool


def required_secrets(fleet: Fleet, profile: Profile) -> tuple[RequiredSecret, ...]:
    """What the profile's roles look up, then what the DNS providers want, each once.

    None where the fleet's environment makes its own, as a lab does. MailfleetError where the sops file
    that MAILFLEET_SECRETS names cannot be read.
    """
    if environment_of(fleet).makes_secrets:
        return ()
    purposes = dict(_wanted(fleet, profile))
    return tuple(RequiredSecret(key, purpose, _is_set(key)) for key, purpose in purposes.items())


def _wanted(fleet: Fleet, profile: Profile) -> Iterator[tuple[str, str]]:
    for need in profile.secrets(fleet):
        yield variable(need.name), need.purpose
    for settings in _providers(fleet):
        yield from secrets_of(settings)


def _providers(fleet: Fleet) -> tuple[ProviderSettings, ...]:
    settings = [domain.dns for domain in fleet.domains]
    settings += [host.reverse_dns for host in fleet.hosts if host.reverse_dns is not None]
    return tuple(dict.fromkeys(settings))


def _is_set(key: str) -> bool:
    if not key.startswith(_OWN):
        return bool(os.environ.get(key, "").strip())
    return optional_secret(key.removeprefix(_OWN)) is not None
