"""What clients may do, and when mail that was put off is tried again."""

from __future__ import annotations

from pydantic import Field

from mailfleet.model.types import Table


class Limits(Table):
    """`[streams.NAME.limits]`: what one client may submit. Default: `LIMITS` of the stream's kind.

    All addresses of an IPv6 network /64 are one client. Above the first two it is refused with 450,
    for the rest of 60 s (Postfix's anvil_rate_time_unit); above the next two a new connection waits.

    The most of each is more than a host can do, so that a slip of the keyboard is told.
    """

    messages_per_minute: int = Field(ge=1, le=1_000_000)
    recipients_per_minute: int = Field(ge=1, le=1_000_000)
    connections_per_minute: int = Field(ge=1, le=1_000_000)
    concurrent_connections: int = Field(ge=1, le=1000)
    recipients_per_message: int = Field(ge=1, le=1000)
    # No mailbox provider takes more than 150 MiB.
    message_bytes: int = Field(ge=10_000, le=157_286_400)


class Retry(Table):
    """`[streams.NAME.retry]`: mail that a receiver put off. Default: `RETRY` of the stream's kind.

    The pause grows as the mail gets older.
    """

    first_seconds: int = Field(ge=10, le=86_400)
    longest_seconds: int = Field(ge=10, le=86_400)
    give_up_hours: int = Field(ge=1, le=720)
    """Then it goes back to its sender."""


class InboundLimits(Table):
    """`inbound_limits` of an inventory: what strangers may bring to each host's port 25.

    The rates are for one client address.
    """

    keep_days: int = Field(default=30, ge=0, le=3650)
    """After which mail is deleted from the maildirs."""
    megabytes: int = Field(default=2000, ge=50, le=1_000_000)
    """What all maildirs of a host may hold (MB of 2^20 bytes); then nothing more is taken."""
    client_messages_per_minute: int = Field(default=300, ge=1, le=100_000)
    client_recipients_per_minute: int = Field(default=600, ge=1, le=1_000_000)
    max_recipients: int = Field(default=100, ge=100, le=1000)
    """RFC 5321 §4.5.3.1.8 wants 100 at least."""
