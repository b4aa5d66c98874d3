"""What a kind of stream is allowed, and when its mail is tried again, where the domain file does not say.

Limits stop a client that runs wild; they are no means to pace mail. Few libraries submit a mail again
that was refused with 4xx: Django, nodemailer and PHPMailer lose it. So what an application does on its
busiest day has to fit.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel

from mailfleet.model.fleet import Limits, Retry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = Literal["transactional", "marketing"]
_Defaults = TypeVar("_Defaults", bound="DataclassInstance")

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


def or_default(table: BaseModel, default: _Defaults) -> _Defaults:
    """`default` with what `table` says instead."""
    return dataclasses.replace(default, **table.model_dump(exclude_none=True))
