"""What a kind of stream is allowed, and when its mail is tried again, where the domain file does not say.

Limits stop a client that runs wild; they are no means to pace mail. Few libraries submit a mail again
that was refused with 4xx: Django, nodemailer and PHPMailer lose it. So what an application does on its
busiest day has to fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mailfleet.model.limits import Limits, Retry
from mailfleet.model.types import Table

Kind = Literal["transactional", "marketing"]
DEFAULT: Kind = "transactional"

# Django, PHPMailer and nodemailer without a pool open a connection for each mail: 20 a second go on for
# ever, 1,200 come at once. Ten at the same time are served beside everybody else's, since each one of an
# attacker costs us a process; what is more waits for its turn (mailfleet/host/connections.py).
_CONNECTIONS = {"connections_per_minute": 1200, "concurrent_connections": 10}
# RFC 5321 section 4.5.3.1.8 asks for 100 at least. Who is refused as the 51st of 60 recipients is
# missing without a word in Django and nodemailer, so it is as many as Postfix takes.
_MESSAGE = {"recipients_per_message": 1000, "message_bytes": 10_240_000}

LIMITS: dict[Kind, Limits] = {
    # A shop at its peak: a hundred mails a second from one host. A loop that sends is faster.
    "transactional": Limits(
        messages_per_minute=6_000, recipients_per_minute=12_000, **_CONNECTIONS, **_MESSAGE
    ),
    # A campaign is handed over as fast as it can be, and then leaves at its own pace.
    "marketing": Limits(
        messages_per_minute=30_000, recipients_per_minute=60_000, **_CONNECTIONS, **_MESSAGE
    ),
}
RETRY: dict[Kind, Retry] = {
    # Somebody waits for a password. Receivers that greylist let the second attempt pass, often after a
    # minute; later each pause is as long as the mail has waited, up to an hour.
    "transactional": Retry(first_seconds=60, longest_seconds=3_600, give_up_hours=72),
    # Nobody waits, and who is busy is left alone: Postfix's own pauses.
    "marketing": Retry(first_seconds=300, longest_seconds=4_000, give_up_hours=72),
}


def with_defaults(stream: object) -> object:
    """What a domain file says of a stream, with the limits and retries of its kind where it is silent."""
    if not isinstance(stream, dict):
        return stream
    kind = DEFAULT if (given := stream.get("kind")) not in ("transactional", "marketing") else given
    return {
        **stream,
        "limits": _filled(stream.get("limits", {}), LIMITS[kind]),
        "retry": _filled(stream.get("retry", {}), RETRY[kind]),
    }


def _filled(given: object, default: Table) -> object:
    # What is no table is left for pydantic to refuse.
    return {**default.model_dump(), **given} if isinstance(given, Mapping) else given
