"""The mail filter's side of the milter protocol, version 6, as Postfix 3.7 to 3.10 speak it.

Postfix shows a filter each message and takes changes of it (MILTER_README; the packets are described
in Sendmail's mfdef.h). Debian's python3-milter would serve one socket in a process and run a thread
for each of Postfix's processes; here one process serves as many as it has, in one loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_VERSION = 6
# What a filter may do: add headers, change the body, change headers.
_ACTIONS = 0x01 | 0x02 | 0x10
# Not asked of us: connection, HELO, MAIL, RCPT, the end of headers, unknown commands, DATA.
_LEFT_OUT = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | 0x100 | 0x200
_NO_BODY = 0x10
# Headers and parts of the body get no answer of their own, and headers come with their white space.
_UNANSWERED = 0x80 | 0x80000
_WHITE_SPACE = 0x100000
# Octets of a packet. Postfix sends a header in one, up to its header_size_limit of 1,000,000.
LARGEST = 1_100_000
_PIECE = 65_535


@dataclass
class Message:
    """A message as Postfix shows it: headers in their order, without Postfix's own Received."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Name, and value with white space after the colon; lines end with LF, without the last one."""
    body: bytearray = field(default_factory=bytearray)
    """Lines end with CRLF."""

    def values(self, name: bytes) -> list[bytes]:
        """The values of every header called `name` (small letters)."""
        return [value for found, value in self.headers if found.lower() == name]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a message: refused with `reply`, or accepted with changes."""

    reply: str = ""
    """E.g. `550 5.7.1 why`; empty: accepted."""
    headers: tuple[tuple[bytes, int, bytes], ...] = ()
    """Name, which of that name (from 1), new value; an empty value removes the header."""
    added: tuple[tuple[bytes, bytes], ...] = ()
    """Headers to add at the end."""
    body: bytes | None = None


Judge = Callable[[Message], Verdict]
_TEMPORARY = Verdict("451 4.3.0 the message could not be checked, try again later")


async def listen(path: str, judge: Judge, *, body: bool = True) -> asyncio.Server:
    """Ask `judge` about each message that comes to the socket `path`; without `body`, if it needs none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A packet that is none ends the connection: Postfix answers 451.
            with contextlib.suppress(OSError, EOFError, ValueError, struct.error):
                await _converse(reader, writer, judge, body=body)
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, path, limit=2 * LARGEST, backlog=512)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, judge: Judge, *, body: bool
) -> None:
    message = Message()
    while received := await read(reader):
        command, content = received
        if command == b"L":
            name, value = content.split(b"\0")[:2]
            message.headers.append((name, value))
        elif command == b"B":
            message.body += content
        elif command == b"O":
            writer.write(packet(b"O", _options(content, body=body)))
        elif command == b"E":
            message.body += content
            writer.writelines(_answers(await _judged(judge, message)))
            message = Message()
        elif command in (b"A", b"K"):
            message = Message()
        elif command == b"Q":
            return
        elif command != b"D":  # macros, which get no answer
            writer.write(packet(b"c"))
        await writer.drain()


def _options(offered: bytes, *, body: bool) -> bytes:
    version, actions, steps = struct.unpack("!III", offered[:12])
    wanted = _LEFT_OUT | _UNANSWERED | _WHITE_SPACE | (0 if body else _NO_BODY)
    if version < _VERSION or actions & _ACTIONS != _ACTIONS or steps & wanted != wanted:
        raise EOFError("the mail server speaks an older protocol")
    return struct.pack("!III", _VERSION, _ACTIONS, wanted)


async def _judged(judge: Judge, message: Message) -> Verdict:
    """The verdict; an error of ours refuses nothing for good and lets nothing through."""
    try:
        if len(message.body) < _PIECE:
            return judge(message)
        # A large one takes a while to rewrite: others need not wait for it.
        return await asyncio.to_thread(judge, message)
    except Exception:  # noqa: BLE001 - whatever it is, the message must not pass
        traceback.print_exc(file=sys.stderr)
        return _TEMPORARY


def _answers(verdict: Verdict) -> Iterable[bytes]:
    if verdict.reply:
        yield packet(b"y", verdict.reply.encode("ascii", "replace") + b"\0")
        return
    # From the last to the first, so that a removal moves none that is still to change.
    for name, number, value in sorted(verdict.headers, key=lambda change: -change[1]):
        yield packet(b"m", struct.pack("!I", number) + name + b"\0" + value + b"\0")
    for name, value in verdict.added:
        yield packet(b"h", name + b"\0" + value + b"\0")
    if verdict.body is not None:
        for start in range(0, len(verdict.body) or 1, _PIECE):
            yield packet(b"b", verdict.body[start : start + _PIECE])
    yield packet(b"c")


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """Command and content of the next packet; None where it is too large, EOFError at the end."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if not 0 < length <= LARGEST:
        return None
    data = await reader.readexactly(length)
    return data[:1], data[1:]


def packet(command: bytes, content: bytes = b"") -> bytes:
    """A packet as it goes over the socket."""
    return struct.pack("!I", len(content) + 1) + command + content
