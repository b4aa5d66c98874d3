"""The package of each provider, imported when it is needed: SDKs take up to half a second."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from mailfleet.dns.providers.base import Provider, ProviderPackage
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, ManualSettings, ProviderSettings


def open_provider(settings: ProviderSettings, fleet: Fleet) -> Provider:
    """The provider's driver; its secrets are looked up now, nothing is sent yet."""
    if isinstance(settings, ManualSettings):
        raise MailfleetError("a zone that is kept by hand has no driver", "enter its records there")
    return _package(settings).open_provider(settings, fleet)


def secrets_of(settings: ProviderSettings) -> tuple[tuple[str, str], ...]:
    """The secrets that a provider's driver looks up: environment variable and purpose of each."""
    return () if isinstance(settings, ManualSettings) else _package(settings).secrets_of(settings)


def _package(settings: ProviderSettings) -> ProviderPackage:
    return cast(ProviderPackage, import_module(f"{__package__}.{settings.provider}"))
