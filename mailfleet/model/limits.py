"""What a domain file may say of a stream's limits and retries; what it leaves out, its kind says."""

from __future__ import annotations

from pydantic import Field

from mailfleet.model.types import Table


class LimitsTable(Table):
    """`[streams.NAME.limits]`: what one client may do. Default: `LIMITS` of the stream's kind.

    The most of each is more than a host can do, so that a slip of the keyboard is told.
    """

    messages_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    recipients_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    connections_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    concurrent_connections: int | None = Field(default=None, ge=1, le=1000)
    recipients_per_message: int | None = Field(default=None, ge=1, le=1000)
    # No mailbox provider takes more than 150 MiB.
    message_bytes: int | None = Field(default=None, ge=10_000, le=157_286_400)


class RetryTable(Table):
    """`[streams.NAME.retry]`: mail that a receiver put off. Default: `RETRY` of the stream's kind."""

    first_seconds: int | None = Field(default=None, ge=10, le=86_400)
    longest_seconds: int | None = Field(default=None, ge=10, le=86_400)
    give_up_hours: int | None = Field(default=None, ge=1, le=720)
