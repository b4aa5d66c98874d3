"""What the judge knows of its stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """One stream."""

    domains: frozenset[str]
    """Where the From address may be: the From domain, and the return path, which mail without From gets."""
    signing_domain: str
    """The domain that the stream signs as (d=, RFC 6376 section 3.5)."""
    message_octets: int
    """Of the largest message that Postfix takes; memory is sized for it."""
