"""The providers of one publication, each opened once, however many zones it has."""

from __future__ import annotations

from mailfleet.dns.providers.base import Provider
from mailfleet.dns.providers.registry import open_provider
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, ProviderSettings


class Providers:
    """A fleet's providers by their settings."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._opened: dict[ProviderSettings, Provider | MailfleetError] = {}

    def open(self, settings: ProviderSettings) -> Provider:
        """The provider; raises the error again that there was when it was opened first."""
        if settings not in self._opened:
            try:
                self._opened[settings] = open_provider(settings, self._fleet)
            except MailfleetError as error:
                self._opened[settings] = error
        provider = self._opened[settings]
        if isinstance(provider, MailfleetError):
            raise provider
        return provider
