"""Any provider that octoDNS has a class for; needs the extra `octodns` and the class's package."""

from mailfleet.dns.providers.octodns.driver import OctoDns, open_provider, secrets_of

__all__ = ["OctoDns", "open_provider", "secrets_of"]
