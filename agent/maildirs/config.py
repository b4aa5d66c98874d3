"""How old and how large the maildirs may become."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The maildirs of one host."""

    folder: str
    """Where the maildirs are."""
    keep_days: int
    """How long mail is kept; 0: for ever."""
    megabytes: int
    """How much they may take, of 2^20 octets each, before Postfix is told to take no more."""
    table: str
    """Path of Postfix's lmdb table, without suffix."""
    key: str
    """What Postfix looks up in it."""
