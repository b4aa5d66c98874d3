"""The names of the labs of one run of the tests.

All begin alike, so that what a killed run leaves behind can be removed: with `MAILFLEET_TEST_LAB`, or
with `test-`, a part that stands for the checkout, and a number that no other run uses meanwhile.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT = "MAILFLEET_TEST_LAB"
_RUN = "MAILFLEET_TEST_RUN"
_WORKER = "MAILFLEET_TEST_WORKER"
_ROOT = Path(__file__).resolve().parents[1]
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


def join(run: str, worker: str) -> None:
    """Make this process one of several that run the tests side by side."""
    os.environ[_RUN] = run
    os.environ[_WORKER] = worker.removeprefix("gw")


def side_by_side() -> bool:
    """Whether this process is one of several."""
    return _WORKER in os.environ


def of_run() -> str:
    """The name of what all processes of this run share."""
    return os.environ.get(_RUN) or os.environ.get(KEPT) or _numbered()


def base() -> str:
    """The name of the lab that the processes of this run start theirs from."""
    return f"{of_run()}-base"


def of_process(purpose: str = "") -> str:
    """The name of a lab of this process alone: its deployed one, or one for another `purpose`."""
    return "-".join(filter(None, (of_run(), os.environ.get(_WORKER), purpose)))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for whichever process has it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def _numbered() -> str:
    checkout = hashlib.sha256(str(_ROOT).encode()).hexdigest()[:5]
    for number in range(1, 100):
        name = f"test-{checkout}-{number}"
        lock = os.open(Path(tempfile.gettempdir()) / f"mailfleet-{name}.lock", _FLAGS, 0o600)
        try:
            # Held until this process ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return name
    raise RuntimeError("a hundred runs of the tests use labs at the same time")
