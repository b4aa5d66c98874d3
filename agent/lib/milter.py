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
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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
# Octets of a packet. Postfix sends a header in one, up to its header_size_limit (102400).
LARGEST = 110_000
_PIECE = 65_535
# Of a message; no judge takes as much, and needs no more to say so.
_KEPT_HEADERS = 2000
_KEPT_OCTETS = 2 * LARGEST
# Large messages at once: one is judged, which takes many times its octets, and one comes in. The others
# wait in Postfix's queue files.
_LARGE_AT_ONCE = 2
# Seconds that Postfix may be silent while others wait for its place.
_PATIENCE = 60.0


@dataclass
class Message:
    """A message as Postfix shows it: headers in their order, without Postfix's own Received."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Name, and value with white space after the colon; lines end with LF, without the last one."""
    body: bytearray = field(default_factory=bytearray)
    """Lines end with CRLF."""
    octets: int = field(default=0, compare=False)
    """Of all headers that were kept."""

    def add(self, name: bytes, value: bytes) -> None:
        """Keep one more header, unless there are too many for any judge already."""
        if len(self.headers) <= _KEPT_HEADERS and self.octets <= _KEPT_OCTETS:
            self.headers.append((name, value))
            self.octets += len(name) + len(value)

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

    place = asyncio.Semaphore(_LARGE_AT_ONCE)
    # Python judges no two at the same time anyway; in a thread, so that others need not wait.
    thread = ThreadPoolExecutor(1)

    async def judged(message: Message) -> Verdict:
        try:
            if len(message.body) < _PIECE:
                return judge(message)
            return await asyncio.get_running_loop().run_in_executor(thread, judge, message)
        except Exception:  # noqa: BLE001 - an error of ours refuses nothing and lets nothing through
            traceback.print_exc(file=sys.stderr)
            return _TEMPORARY

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A packet that is none ends the connection: Postfix answers 451.
            with contextlib.suppress(OSError, EOFError, ValueError, struct.error):
                if await _agreed(reader, writer, body=body):
                    while await _message(reader, writer, judged, place):
                        pass
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, path, backlog=512)


async def _agreed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, body: bool
) -> bool:
    """Agree on what is asked for; False where the client only looked whether somebody is there."""
    command, content = await _received(reader, None)
    if command == b"O":
        writer.write(packet(b"O", _options(content, body=body)))
    return command == b"O"


async def _message(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    judged: Callable[[Message], Awaitable[Verdict]],
    place: asyncio.Semaphore,
) -> bool:
    """One message, from its first header to the answer; False at the end of the connection."""
    message = Message()
    async with contextlib.AsyncExitStack() as held:
        while True:
            large = len(message.body) > _PIECE
            command, content = await _received(reader, _PATIENCE if large else None)
            if command == b"L":
                name, value = content.split(b"\0")[:2]
                message.add(name, value)
            elif command in (b"B", b"E"):
                if not large and len(message.body) + len(content) > _PIECE:
                    await held.enter_async_context(place)
                message.body += content
            elif command in (b"A", b"K", b"Q"):
                return command != b"Q"
            elif command != b"D":  # macros, which get no answer
                writer.write(packet(b"c"))
            if command == b"E":
                await asyncio.wait_for(_answer(writer, await judged(message)), _PATIENCE)
                return True


async def _received(reader: asyncio.StreamReader, patience: float | None) -> tuple[bytes, bytes]:
    received = await (asyncio.wait_for(read(reader), patience) if patience else read(reader))
    if received is None:
        raise EOFError
    return received


async def _answer(writer: asyncio.StreamWriter, verdict: Verdict) -> None:
    for answer in _answers(verdict):
        writer.write(answer)
        await writer.drain()


def _options(offered: bytes, *, body: bool) -> bytes:
    version, actions, steps = struct.unpack("!III", offered[:12])
    wanted = _LEFT_OUT | _UNANSWERED | _WHITE_SPACE | (0 if body else _NO_BODY)
    if version < _VERSION or actions & _ACTIONS != _ACTIONS or steps & wanted != wanted:
        raise EOFError("the mail server speaks an older protocol")
    return struct.pack("!III", _VERSION, _ACTIONS, wanted)


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
