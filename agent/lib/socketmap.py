"""Postfix's socketmap protocol (socketmap_table(5)): requests and replies are netstrings."""

from __future__ import annotations

import asyncio

LARGEST = 10_000
"""Octets of a request or reply, as Postfix has it."""


class ProtocolError(Exception):
    """What came is no netstring, or only a part of one."""


async def read(reader: asyncio.StreamReader) -> bytes | None:
    """One netstring (length, colon, octets, comma); None at the end of the stream."""
    try:
        digits = await reader.readuntil(b":")
        if not digits[:-1].isdigit() or int(digits[:-1]) > LARGEST:
            raise ProtocolError("a message is no netstring")
        text = await reader.readexactly(int(digits[:-1]) + 1)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ProtocolError("a message was cut off") from None
        return None
    except asyncio.LimitOverrunError:
        raise ProtocolError("a message is no netstring") from None
    if text[-1:] != b",":
        raise ProtocolError("a message is no netstring")
    return text[:-1]


def netstring(text: str) -> bytes:
    """The text as it goes over the socket."""
    data = text.encode("utf-8", "replace")
    return b"%d:%s," % (len(data), data)
