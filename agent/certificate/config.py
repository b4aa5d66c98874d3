"""The certificate that a host shall have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Lineage:
    """A certificate under one name in /etc/letsencrypt, and each of its successors."""

    name: str
    key_type: Literal["ecdsa", "rsa"]


@dataclass(frozen=True)
class Config:
    """What this host shall have, from /etc/mailfleet/certificate.json."""

    names: tuple[str, ...]
    lineages: tuple[Lineage, ...]
    """The first one is what the web server uses, and what the host's first key goes into."""
    directory: str
    """URL of the authority's ACME directory (RFC 8555 §7.1.1)."""
    contact: str | None
    addresses: tuple[str, ...]
    """Those of all hosts of the fleet; another one has to prove that it leads to them."""
    units: tuple[str, ...]
    """What has to learn of a new certificate."""
    bundle: str | None = None
    """File of who vouches for the authority's own web server; None: the system's."""
    public: bool = True
    """Whether everyone trusts the authority, so that its chains must end at the system's roots."""
