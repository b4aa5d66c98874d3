"""Which driver serves which provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailfleet.dns.providers.base import Driver, PtrDriver
from mailfleet.dns.providers.rfc2136 import open_rfc2136
from mailfleet.dns.providers.rfc2136.driver import tsig_secret
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, ProviderSettings
from mailfleet.secrets import variable


def _hetzner(settings: ProviderSettings, fleet: Fleet) -> Driver[Any]:
    # Its SDK takes a seventh of a second to import.
    from mailfleet.dns.providers.hetzner import open_hetzner

    return open_hetzner(settings, fleet)


def _cloudflare(settings: ProviderSettings, fleet: Fleet) -> Driver[Any]:
    # Its SDK takes half a second to import.
    from mailfleet.dns.providers.cloudflare import open_cloudflare

    return open_cloudflare(settings, fleet)


def _octodns(settings: ProviderSettings, fleet: Fleet) -> Driver[Any]:
    # octoDNS is an optional extra.
    from mailfleet.dns.providers.octodns import open_octodns

    return open_octodns(settings, fleet)


_DRIVERS: dict[str, Callable[[ProviderSettings, Fleet], Driver[Any]]] = {
    "rfc2136": open_rfc2136,
    "hetzner": _hetzner,
    "cloudflare": _cloudflare,
    "octodns": _octodns,
}


def open_ptr(settings: ProviderSettings, fleet: Fleet) -> PtrDriver | None:
    """The PTR records at a provider that has no reverse zones; None where it may have some."""
    if settings.provider == "hetzner":
        from mailfleet.dns.providers.hetzner.driver import open_hetzner_ptr

        return open_hetzner_ptr(settings, fleet)
    return None


def secrets_of(settings: ProviderSettings) -> tuple[tuple[str, str], ...]:
    """The secrets that a provider's driver looks up: environment variable and purpose of each."""
    if settings.provider == "hetzner":
        from mailfleet.apis.hetzner.errors import PERMISSION, VARIABLE

        return ((VARIABLE, PERMISSION),)
    if settings.provider == "cloudflare":
        from mailfleet.dns.providers.cloudflare.errors import PURPOSE, SECRET

        return ((variable(SECRET), PURPOSE),)
    if settings.provider == "octodns":
        from mailfleet.dns.providers.octodns.api import references

        return tuple(references(settings))
    if settings.provider == "rfc2136":
        name, purpose = tsig_secret(settings)
        return ((variable(name), purpose),)
    return ()


def open_driver(settings: ProviderSettings, fleet: Fleet) -> Driver[Any]:
    """The driver for a provider; its secrets are looked up now, nothing is sent yet."""
    driver = _DRIVERS.get(settings.provider)
    if driver is None:
        problem = f"this version has no driver for the DNS provider {settings.provider!r}"
        raise MailfleetError(problem, f"provider = one of: {', '.join(sorted(_DRIVERS))}")
    return driver(settings, fleet)
