"""A program and its arguments as one shell command for a host, and back: how it ended there.

The one place that quotes. The command says by itself how it ended, in the last line of stderr: the exit
code of ssh is 255 for its own failures, and also for a program that ends with 255 or whose connection broke.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from mailfleet.remote.results import Completed, Result, Stopped, Unreachable, last_line

LONGEST = 128 * 1024 - 1
"""Octets of one argument that Linux takes (MAX_ARG_STRLEN); the command is one, here and on the host."""
_KILL_AFTER = 5
"""Seconds between SIGTERM and SIGKILL, for what ignores the former."""
_MARK = "mailfleet: exit code"
# timeout ends the program on the host itself: one that lost its connection would go on there.
# Messages are English, so that they can be read by programs.
_SCRIPT = (
    f"""LC_ALL=C.UTF-8 timeout --kill-after={_KILL_AFTER} "$0" "$@"; """
    f"""printf '\\n{_MARK} %d\\n' "$?" >&2"""
)
_ENDED = re.compile(rb"\n" + _MARK.encode() + rb" (\d+)\n")
_TIMED_OUT = 124
_KILLED = 137


def quoted(argv: Sequence[str], seconds: int, become: Sequence[str] = ()) -> str:
    """The command that runs `argv` on a host for at most `seconds`, by way of `become`, e.g. sudo.

    Each argument arrives as it is, whatever is in it. ValueError for what no program can be given: no
    argument at all, a null character, or more than `LONGEST` octets, which belong on stdin.
    """
    if not argv or not argv[0]:
        raise ValueError("there is no program to run")
    if any("\0" in argument for argument in argv):
        raise ValueError("an argument has a null character")
    command = shlex.join([*become, "sh", "-c", _SCRIPT, str(seconds), *argv])
    if len(command.encode("utf-8", "surrogateescape")) > LONGEST:
        raise ValueError(f"the command has more than {LONGEST} octets; give them by stdin")
    return command


def result_of(stdout: bytes, stderr: bytes, elapsed: float, seconds: int) -> Result:
    """How a `quoted` command ended, by what it printed in `elapsed` seconds."""
    ends = list(_ENDED.finditer(stderr))
    if not ends:
        return Unreachable(last_line(stderr) or "the connection ended without a word")
    end = ends[-1]
    code = int(end[1])
    # A program may end with either code by itself, but then sooner.
    if code in (_TIMED_OUT, _KILLED) and elapsed >= seconds:
        return Stopped(f"no end after {seconds} s")
    return Completed(code, stdout, stderr[: end.start()])
