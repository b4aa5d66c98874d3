"""Where TLS policies are asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Paths of UNIX sockets."""

    socket: str
    """Where Postfix asks."""
    daemon_socket: str
    """Where postfix-mta-sts-resolver answers."""
