"""Work for all hosts of a run at the same time, done when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

_AT_ONCE = 50

T = TypeVar("T")


class OncePerHost(Generic[T]):
    """`work` of every host, started for all of them at `start` or at the first question, and kept.

    An exception is kept as well, and raised at each question about that host.
    """

    def __init__(self, names: Sequence[str], work: Callable[[str], T]) -> None:
        self._names = names
        self._work = work
        self._futures: dict[str, Future[T]] = {}
        self._lock = Lock()

    def start(self) -> None:
        """Start the work, unless it was started before; return at once."""
        with self._lock:
            if not self._futures:
                pool = ThreadPoolExecutor(_AT_ONCE)
                self._futures = {name: pool.submit(self._work, name) for name in self._names}
                pool.shutdown(wait=False)

    def __getitem__(self, name: str) -> T:
        self.start()
        return self._futures[name].result()
