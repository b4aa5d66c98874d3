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
        return [value for header, value in self.headers if header.lower() == name]


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
    judging = _Judging(judge, body)
    return await asyncio.get_running_loop().create_unix_server(
        lambda: _Session(judging), path, backlog=512
    )


class _Judging:
    """What all connections of a socket share."""

    def __init__(self, judge: Judge, body: bool) -> None:
        self.body = body
        # One for all: asyncio would allocate 256 KiB for each read, and free it again.
        self.arrived = memoryview(bytearray(_PIECE))
        self.places = asyncio.Semaphore(_LARGE_AT_ONCE)
        # Python judges no two at the same time anyway; in a thread, so that others need not wait.
        self._thread = ThreadPoolExecutor(1)
        self._judge = judge

    def judge(self, message: Message) -> Verdict:
        """The verdict; a temporary refusal where there is an error of ours."""
        try:
            return self._judge(message)
        except Exception:  # noqa: BLE001 - an error of ours refuses nothing and lets nothing through
            traceback.print_exc(file=sys.stderr)
            return _TEMPORARY

    async def judge_aside(self, message: Message) -> Verdict:
        """The verdict on a large message, while small ones are answered."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.judge, message)


class _Session(asyncio.BufferedProtocol):
    """One connection of Postfix: message after message of the client that it serves.

    A callback for all that has arrived, instead of a task and a wait for each packet: Postfix connects
    anew for each client, and most of a small message's cost was the loop's.
    """

    def __init__(self, judging: _Judging) -> None:
        self._judging = judging
        self._unread = bytearray()
        self._agreed = False
        self._message = Message()
        self._has_place = False
        self._aside: asyncio.Task[None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Postfix has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """Postfix has gone, with or without a message's end."""
        self._writable.set()
        if self._aside:
            self._aside.cancel()
        self._forget()

    def pause_writing(self) -> None:
        """Postfix does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Postfix reads again."""
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's own signature
        """Where the loop puts what has arrived; it calls `buffer_updated` at once."""
        return self._judging.arrived

    def buffer_updated(self, nbytes: int) -> None:
        """So many octets have arrived, of a packet or of several."""
        self._unread += self._judging.arrived[:nbytes]
        self._take_packets()

    def _take_packets(self) -> None:
        try:
            while not (self._aside or self._transport.is_closing()):
                length = int.from_bytes(self._unread[:4], "big")
                if len(self._unread) >= 4 and not 0 < length <= LARGEST:
                    raise EOFError  # a packet that is none ends the connection: Postfix answers 451
                if len(self._unread) < 4 + max(length, 1):
                    break
                command, content = bytes(self._unread[4:5]), bytes(self._unread[5 : 4 + length])
                del self._unread[: 4 + length]
                self._take(command, content)
        except (EOFError, ValueError, struct.error):
            self._transport.close()
        self._expect_more()

    def _take(self, command: bytes, content: bytes) -> None:
        if not self._agreed:
            # Who says anything else only looked whether somebody is there.
            if command != b"O":
                raise EOFError
            self._transport.write(packet(b"O", _options(content, body=self._judging.body)))
            self._agreed = True
        elif command == b"L":
            name, value = content.split(b"\0")[:2]
            self._message.add(name, value)
        elif command in (b"B", b"E"):
            self._take_body(content, ends=command == b"E")
        elif command == b"Q":
            self._transport.close()
        elif command in (b"A", b"K"):
            self._forget()
        elif command != b"D":  # macros, which get no answer
            self._transport.write(packet(b"c"))

    def _take_body(self, content: bytes, *, ends: bool) -> None:
        if self._has_place or len(self._message.body) + len(content) > _PIECE:
            self._aside = asyncio.create_task(self._take_large(content, ends=ends))
            return
        self._message.body += content
        if ends:
            self._transport.writelines(_answers(self._judging.judge(self._message)))
            self._forget()

    async def _take_large(self, content: bytes, *, ends: bool) -> None:
        """A part of a large message; nothing is read meanwhile."""
        self._transport.pause_reading()
        if not self._has_place:
            await self._judging.places.acquire()
            self._has_place = True
        self._message.body += content
        if ends:
            verdict = await self._judging.judge_aside(self._message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answer(verdict), _PATIENCE)
                self._forget()
        self._aside = None
        if self._has_place and ends:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.resume_reading()
            self._take_packets()

    async def _answer(self, verdict: Verdict) -> None:
        for answer in _answers(verdict):
            self._transport.write(answer)
            await self._writable.wait()

    def _expect_more(self) -> None:
        """End the connection if Postfix leaves a large message half told, which keeps others waiting."""
        if self._silence:
            self._silence.cancel()
            self._silence = None
        if self._has_place and not self._aside:
            loop = asyncio.get_running_loop()
            self._silence = loop.call_later(_PATIENCE, self._transport.abort)

    def _forget(self) -> None:
        """The message has ended, or never came to its end."""
        self._message = Message()
        if self._has_place:
            self._has_place = False
            self._judging.places.release()


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
