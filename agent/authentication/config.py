"""Where the results of inbound mail are asked for, and in whose name they are given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """One host."""

    socket: str
    """Path of the UNIX socket that Postfix asks on."""
    host: str
    """The authserv-id (RFC 8601, section 2.5)."""
