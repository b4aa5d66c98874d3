"""What the fleet demands of TLS towards single recipient domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TlsLevel = Literal["may", "encrypt", "dane-only", "verify", "secure"]
"""Postfix's security levels (TLS_README): from "if offered" to "with a certificate for the domain"."""


@dataclass(frozen=True)
class TlsDemand:
    """The level for mail to one recipient domain, which wins over DANE and MTA-STS."""

    destination: str
    """A domain, or with a leading dot all its subdomains."""
    level: TlsLevel
    names: tuple[str, ...] = ()
    """Names of which the certificate must have one; empty: the domain or a subdomain of it."""

    @property
    def policy(self) -> str:
        """The right-hand side of Postfix's smtp_tls_policy_maps."""
        if self.level not in ("verify", "secure"):
            return self.level
        own = "hostname" if self.level == "verify" else "nexthop:dot-nexthop"
        match = ":".join(self.names) or own
        # The server may have several certificates; it is asked for that of its own name.
        return f"{self.level} match={match} servername=hostname"
