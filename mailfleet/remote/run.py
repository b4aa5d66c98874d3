"""Running a program on many hosts at the same time, outside of a run of pyinfra."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from mailfleet.errors import MailfleetError
from mailfleet.remote.command import quoted, result_of
from mailfleet.remote.results import Completed, Result, Stopped, Unreachable

_log = logging.getLogger(__name__)

AT_ONCE = 40
"""Hosts that are asked side by side: each needs four open files, of which macOS allows 256."""
MOST_OUTPUT = 64 * 2**20
"""Octets that are taken of each host's stdout, and of its stderr."""
_GRACE = 30.0
"""Seconds for connecting, and for the end of what is stopped, on top of the program's own."""


class Connector(Protocol):
    """How hosts are reached: by a program on this machine."""

    def become(self, host: str) -> Sequence[str]:
        """What runs a program with all rights on a host, e.g. `("sudo", "-n")`."""

    def argv(self, host: str, command: str) -> Sequence[str]:
        """The program here, with its arguments, that runs a shell command on a host."""


def run(
    connector: Connector,
    hosts: Collection[str],
    argv: Sequence[str],
    stdin: bytes = b"",
    *,
    seconds: int = 60,
    progress: Callable[[str, Result], None] = lambda _host, _result: None,
) -> dict[str, Result]:
    """Run `argv` as root on all `hosts`, and return what became of it on each, in their order.

    No shell looks at the arguments; `("sh", "-c", SCRIPT)` is a script. Arguments can be seen by all
    users of a host and stand in logs: a secret goes by `stdin`, which is empty by default. `seconds`
    is what the program may take on each host. `progress` hears of each host as it is done.

    A host that fails is a result, no exception. MailfleetError where there is no host; ValueError for
    arguments that no program can be given, see `command.quoted`.
    """
    if not hosts:
        raise MailfleetError("there is no host to run on", "check the inventory and --limit")
    commands = {host: quoted(argv, seconds, connector.become(host)) for host in hosts}
    lines = {host: connector.argv(host, command) for host, command in commands.items()}
    _log.debug("on %d hosts: %s", len(lines), shlex.join(argv))
    return asyncio.run(_run_all(lines, stdin, seconds, progress))


async def _run_all(
    lines: dict[str, Sequence[str]],
    stdin: bytes,
    seconds: int,
    progress: Callable[[str, Result], None],
) -> dict[str, Result]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(host: str, line: Sequence[str]) -> Result:
        async with places:
            start = time.monotonic()
            result = await _run(line, stdin, seconds)
        how = f"exit code {result.exit_code}" if isinstance(result, Completed) else result.reason
        _log.info("%s: %s after %.2f s", host, how, time.monotonic() - start)
        progress(host, result)
        return result

    results = await asyncio.gather(*(one(host, line) for host, line in lines.items()))
    return dict(zip(lines, results, strict=True))


async def _run(line: Sequence[str], stdin: bytes, seconds: int) -> Result:
    start = time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        transport, output = await loop.subprocess_exec(
            lambda: _Output(loop),
            *line,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            # So that all of it can be ended, ssh's own children too.
            start_new_session=True,
        )
    except OSError as error:
        return Unreachable(f"{line[0]} cannot be started: {error.strerror}")
    try:
        if (pipe := transport.get_pipe_transport(0)) is not None:
            assert isinstance(pipe, asyncio.WriteTransport)
            # Written while the output is read. What the program does not read is its own affair.
            pipe.write(stdin)
            pipe.close()
        async with asyncio.timeout(seconds + _GRACE):
            await asyncio.shield(output.ended)
    except TimeoutError:
        return Stopped(f"no answer for {seconds + _GRACE:g} s")
    finally:
        if not output.ended.done():
            _kill(transport)
            await output.ended
        transport.close()
    if output.is_too_much:
        return Stopped(f"printed more than {MOST_OUTPUT} octets")
    elapsed = time.monotonic() - start
    return result_of(bytes(output.stdout), bytes(output.stderr), elapsed, seconds)


class _Output(asyncio.SubprocessProtocol):
    """What a process prints; `ended` once it has ended and closed its pipes, or was killed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self.is_too_much = False
        self.ended = loop.create_future()
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        output = self.stdout if fd == 1 else self.stderr
        output += data
        if len(output) > MOST_OUTPUT and not self.is_too_much:
            self.is_too_much = True
            assert self._transport is not None
            _kill(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set_result(None)


def _kill(transport: asyncio.SubprocessTransport) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    # Its pipes too, which others may hold.
    transport.close()
