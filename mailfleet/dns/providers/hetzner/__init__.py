"""Hetzner: zones and reverse names of one project, through the Hetzner Cloud API."""

from mailfleet.dns.providers.hetzner.driver import Hetzner, open_provider, secrets_of

__all__ = ["Hetzner", "open_provider", "secrets_of"]
