"""A TCP proxy that only delays: `python -m bench.delay SECONDS LISTEN=TARGET...`.

LISTEN is an IPv4 address; both ends use port 22. Every byte leaves SECONDS after it came, in either
direction, and as many bytes as you like are under way. A new connection waits two delays before its
first byte is taken, as TCP's own handshake would. Prints `ready` once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

_PORT = 22
_CHUNK = 256 * 1024
_Due = tuple[float, bytes]


async def _take(reader: asyncio.StreamReader, queue: asyncio.Queue[_Due], delay: float) -> None:
    """Note for each piece of data when it is due; an empty one is the end."""
    clock = asyncio.get_running_loop()
    while True:
        try:
            data = await reader.read(_CHUNK)
        except ConnectionError:
            data = b""
        await queue.put((clock.time() + delay, data))
        if not data:
            return


async def _give(queue: asyncio.Queue[_Due], writer: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop()
    while True:
        due, data = await queue.get()
        if (wait := due - clock.time()) > 0:
            await asyncio.sleep(wait)
        try:
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
        except (ConnectionError, OSError):
            return


def _no_delay(writer: asyncio.StreamWriter) -> None:
    """The only delay is ours."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, delay: float
) -> None:
    await asyncio.sleep(2 * delay)
    try:
        far_reader, far_writer = await asyncio.open_connection(target, _PORT)
    except OSError:
        writer.close()
        return
    _no_delay(writer)
    _no_delay(far_writer)
    there: asyncio.Queue[_Due] = asyncio.Queue()
    back: asyncio.Queue[_Due] = asyncio.Queue()
    await asyncio.gather(
        _take(reader, there, delay),
        _give(there, far_writer),
        _take(far_reader, back, delay),
        _give(back, writer),
    )
    writer.close()
    far_writer.close()


async def _main(delay: float, routes: list[tuple[str, str]]) -> None:
    for listen, target in routes:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str = target
        ) -> None:
            await _serve(reader, writer, target, delay)

        await asyncio.start_server(serve, listen, _PORT)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    pairs = [argument.split("=", 1) for argument in sys.argv[2:]]
    asyncio.run(_main(float(sys.argv[1]), [(listen, target) for listen, target in pairs]))
