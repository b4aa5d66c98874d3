"""Work for all hosts of a run at the same time, done when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_AT_ONCE = 50

T = TypeVar("T")


class OncePerHost(Generic[T]):
    """`work` of every host, started for all of them at the first question and kept.

    An exception is kept as well, and raised at each question about that host.
    """

    def __init__(self, names: Sequence[str], work: Callable[[str], T]) -> None:
        self._names = names
        self._work = work
        self._futures: dict[str, Future[T]] = {}

    def __getitem__(self, name: str) -> T:
        if not self._futures:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                self._futures = {one: pool.submit(self._work, one) for one in self._names}
        return self._futures[name].result()
