"""Which resolver is watched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """A resolver of this host."""

    unit: str
    """Its systemd unit."""
    address: str
    """Where it answers, on port 53."""
