"""What mail needs of each type of record: the order of a push follows from it.

A type that is not here is never made: whoever adds one decides, and a test fails until then.
"""

from __future__ import annotations

from typing import Literal

Purpose = Literal["needed", "refers"]

PURPOSES: dict[str, Purpose] = {
    # What names lead to, and what verifies mail.
    "A": "needed",
    "AAAA": "needed",
    "TXT": "needed",
    # What is said about such names: a receiver that follows it must find them.
    "CAA": "refers",
    "CNAME": "refers",
    "MX": "refers",
    "PTR": "refers",
    "SRV": "refers",
    "TLSA": "refers",
}


def purpose_of(rtype: str) -> Purpose:
    """What a record of this type is for. NotImplementedError for one that nobody decided about."""
    if rtype not in PURPOSES:
        raise NotImplementedError(f"nobody has decided when {rtype} records are published")
    return PURPOSES[rtype]
