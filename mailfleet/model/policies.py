"""What a domain publishes about its mail: one value for each policy of a domain file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["none", "quarantine", "reject"]


@dataclass(frozen=True)
class Dkim:
    """How a domain signs: one key per host and period (decision D2)."""

    period: str
    bits: int
    revoked: tuple[str, ...] = ()
    """Selectors whose keys are published as revoked: an empty `p=` (RFC 6376 §3.6.1)."""


@dataclass(frozen=True)
class Dmarc:
    """A domain's published DMARC policy (RFC 9989 §4.7; no pct, rf or ri, which it removed)."""

    policy: Policy
    subdomain_policy: Policy
    nonexistent_policy: Policy
    strict_dkim: bool
    strict_spf: bool
    reports: tuple[str, ...]
    """Mail addresses for aggregate reports."""
    testing: bool = False
    """`t=y`: receivers apply the policy one level lower than it says."""
    subdomains: Mapping[str, Policy] = field(default_factory=dict, hash=False)
    """The policies of single From domains below the file's domain, where they differ."""


@dataclass(frozen=True)
class Spf:
    """What else may send as the domain, and how strict the end of the record is (RFC 7208)."""

    includes: tuple[str, ...]
    all: Literal["-all", "~all"]


@dataclass(frozen=True)
class MtaSts:
    """TLS that other servers shall demand of this fleet's inbound hosts (RFC 8461 §3.2)."""

    mode: Literal["none", "testing", "enforce"]
    max_age: int


@dataclass(frozen=True)
class Caa:
    """Who may issue certificates for the fleet's names (RFC 8659), from which account (RFC 8657)."""

    issuers: tuple[str, ...]
    account_uri: str | None = None


@dataclass(frozen=True)
class Bimi:
    """The logo that mailbox providers show, and the certificate that it is ours."""

    logo: str
    certificate: str | None = None
