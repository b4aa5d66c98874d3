"""Commands on this machine that reach hosts: how long each took and how it ended is logged.

Secrets never stand in a command (decision D10), so the whole of it can be shown.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_log = logging.getLogger(__name__)


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run` with text, which never raises for an exit code; `options` are its own."""
    with timed(command) as ended:
        done = subprocess.run(command, text=True, check=False, **options)
        ended.append(done.returncode)
    return done


@contextmanager
def timed(command: Sequence[str]) -> Iterator[list[int]]:
    """Log a command, then its time and its exit code, which the caller appends to what this yields."""
    _log.info("run %s", shlex.join(command))
    start, ended = time.monotonic(), list[int]()
    try:
        yield ended
    finally:
        result = f"exit code {ended[-1]}" if ended else "no end"
        _log.info("%s after %.1f s: %s", result, time.monotonic() - start, command[0])
