"""Name servers that speak RFC 2136 (dynamic update) and RFC 5936 (zone transfer), with TSIG."""

from mailfleet.dns.providers.rfc2136.driver import Rfc2136, open_provider, secrets_of

__all__ = ["Rfc2136", "open_provider", "secrets_of"]
