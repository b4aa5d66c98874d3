"""What a domain publishes about its mail: one value for each policy of a domain file.

A table from which nothing is derived is used as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mailfleet.model.types import Names, SecureUri, ServiceNames, Table
from mailfleet.model.values import as_tuple, at_least_one, each_once, matching

Policy = Literal["none", "quarantine", "reject"]
Period = Annotated[
    str, matching(r"[a-z0-9]{1,16}", "write 1 to 16 small letters and digits, e.g. 2026q4")
]
KeySelector = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?",
        "write the selector as it stands before ._domainkey, in small letters, e.g. mta1-eu-2026q3",
    ),
]


class Dkim(Table):
    """`[dkim]`: one key per host and period (decision D2); a new period means new keys."""

    period: Period = "1"
    bits: Literal[2048, 3072, 4096] = 2048
    revoked: Annotated[
        tuple[KeySelector, ...], BeforeValidator(as_tuple), AfterValidator(each_once)
    ] = ()
    """Selectors that no receiver shall trust any more: an empty `p=` (RFC 6376 §3.6.1).

    Example: ["mta1-eu-2026q3"].
    """


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
    testing: bool
    """`t=y`: receivers apply the policy one level lower than it says."""
    subdomains: Mapping[str, Policy] = field(hash=False)
    """The policies of single From domains below the file's domain, where they differ."""


class Spf(Table):
    """`[spf]`: what else may send as the domain, and how the record ends (RFC 7208)."""

    includes: ServiceNames = ()
    """Example: ["_spf.esp.example"]."""
    all: Literal["-all", "~all"] = "-all"


class MtaSts(Table):
    """`[mta_sts]`: TLS that others shall demand of the inbound hosts (RFC 8461 §3.2)."""

    mode: Literal["none", "testing", "enforce"]
    max_age: int = Field(default=604_800, ge=86_400, le=31_557_600)
    """Seconds for which senders keep the policy."""


class Caa(Table):
    """`[caa]`: who may issue certificates (RFC 8659), from which account (RFC 8657 §3)."""

    issuers: Annotated[Names, AfterValidator(at_least_one)]
    """Certificate authorities by their own names. Example: ["letsencrypt.org"]."""
    account_uri: SecureUri | None = None
    """The only account of the authority that may have certificates issued."""


class Bimi(Table):
    """`[bimi]`: draft-brand-indicators-for-message-identification §4.3."""

    logo: SecureUri
    """An SVG Tiny PS image."""
    certificate: SecureUri | None = None
    """The mark certificate that Gmail and Apple ask for."""
