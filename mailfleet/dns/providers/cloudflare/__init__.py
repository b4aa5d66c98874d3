"""Cloudflare: zones through its API v4 and the official SDK, ownership by record comments."""

from mailfleet.dns.providers.cloudflare.driver import Cloudflare, open_provider, secrets_of

__all__ = ["Cloudflare", "open_provider", "secrets_of"]
