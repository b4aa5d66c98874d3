"""Writes into each inbound message who it is really from: the host's own Authentication-Results.

    python3 agent.pyz authentication CONFIG

Postfix asks on a socket (a milter, see agent/lib/milter.py) and gets one header with the host as authserv-id.
Nothing is refused and nothing is lost: a message that cannot be judged goes on without the header. Runs on
mail hosts with Debian's python3-dkim, python3-spf and python3-dnspython, and asks the resolver in
/etc/resolv.conf.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import dns.resolver

from agent.authentication.config import Config
from agent.authentication.results import PATIENCE, Arrival, Ask, ask_resolver, install
from agent.lib import milter, systemd
from agent.lib.configuration import load

_VERSION = 6
_ADD_HEADERS = 0x01
# Not asked of us: RCPT, the end of headers, unknown commands, DATA.
_LEFT_OUT = 0x08 | 0x40 | 0x100 | 0x200
# Headers and parts of the body get no answer, and headers come with their white space.
_STEPS = _LEFT_OUT | 0x80 | 0x80000 | 0x100000
# As many as Postfix has processes for port 25; each waits for DNS most of the time.
_THREADS = 60


class _Session:
    """One connection of Postfix: message after message of the client that it serves."""

    def __init__(self) -> None:
        self.arrival = Arrival()

    def take(self, command: bytes, content: bytes) -> None:
        """Note what a packet says."""
        arrival = self.arrival
        match command:
            case b"C":
                self.arrival = Arrival(_address(content))
            case b"H":
                arrival.helo = _text(content)
            case b"M":
                sender = _text(content).removeprefix("<").removesuffix(">")
                self.arrival = Arrival(arrival.client, arrival.helo, sender)
            case b"A" | b"K":
                self.forget()
            case b"L":
                name, value = content.split(b"\0")[:2]
                arrival.add_header(name, value)
            case b"B" | b"E":
                arrival.add_body(content)

    def forget(self) -> None:
        """The message has ended, or never came to its end."""
        self.arrival = Arrival(self.arrival.client, self.arrival.helo)


# What gets no answer: macros, headers, parts of the body, and the ends of a message or of a client.
_SILENT = (b"D", b"L", b"B", b"A", b"K")


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, ask: Ask
) -> None:
    session = _Session()
    while (received := await milter.read(reader)) and received[0] != b"Q":
        command, content = received
        session.take(command, content)
        if command == b"O":
            writer.write(milter.packet(b"O", _options(content)))
        elif command == b"E":
            writer.writelines(await _answers(session.arrival, host, ask))
            session.forget()
        elif command not in _SILENT:
            writer.write(milter.packet(b"c"))
        await writer.drain()


async def _answers(arrival: Arrival, host: str, ask: Ask) -> list[bytes]:
    """The header at the top; nothing where there is an error of ours."""
    loop = asyncio.get_running_loop()
    accept = milter.packet(b"c")
    try:
        # All look-ups are bounded: what takes longer hangs.
        value = await asyncio.wait_for(
            loop.run_in_executor(None, arrival.results, host, ask), 2 * PATIENCE
        )
    except Exception:  # noqa: BLE001 - whatever it is, the message goes on
        traceback.print_exc(file=sys.stderr)
        return [accept]
    # The value comes with the white space after its colon, as we asked for.
    header = b"Authentication-Results\0 " + value.encode("ascii") + b"\0"
    return [milter.packet(b"i", struct.pack("!I", 0) + header), accept]


def _options(offered: bytes) -> bytes:
    version, actions, steps = struct.unpack("!III", offered[:12])
    if version < _VERSION or not actions & _ADD_HEADERS or steps & _STEPS != _STEPS:
        raise EOFError("the mail server speaks an older protocol")
    return struct.pack("!III", _VERSION, _ADD_HEADERS, _STEPS)


def _address(content: bytes) -> str:
    """The client's address; empty where it comes from nowhere (a name, then family, port, address)."""
    where = content.partition(b"\0")[2]
    if where[:1] not in (b"4", b"6"):
        return ""
    return where[3:].partition(b"\0")[0].decode("ascii", "replace").removeprefix("IPv6:")


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("utf-8", "replace")


async def listen(path: str, host: str, ask: Ask) -> asyncio.Server:
    """Serve on the socket `path`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A packet that is none ends the connection, and Postfix goes on without us.
            with contextlib.suppress(OSError, EOFError, ValueError, struct.error):
                await _converse(reader, writer, host, ask)
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, path, limit=2 * milter.LARGEST, backlog=512)


async def serve(config: Config) -> None:
    """Serve for ever."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    ask = ask_resolver(dns.resolver.Resolver())
    install(ask)
    server = await listen(config.socket, config.host, ask)
    await asyncio.gather(systemd.live(), server.serve_forever())


def main(arguments: Sequence[str]) -> None:
    """Serve as the configuration in the one argument says."""
    (path,) = arguments
    asyncio.run(serve(load(Config, path)))
