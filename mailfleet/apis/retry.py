"""When a request is sent again, and for how long: one policy for every provider.

What a failure says about the request decides. The SDKs' own retries are switched off: they repeat a
write after a time-out without a look at what it has done, and give up on a limit long before the
time that the answer names.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class Outcome(Enum):
    """What a failure says about the request."""

    LIMITED = auto()
    """Not carried out: too many requests."""
    BUSY = auto()
    """Not carried out: something else is going on at the resource."""
    UNKNOWN = auto()
    """Perhaps carried out: no answer, or an error of the server's."""
    REFUSED = auto()
    """Not carried out, and no better when it is repeated."""


_TRIES = {Outcome.BUSY: 8, Outcome.UNKNOWN: 5, Outcome.REFUSED: 1}
# In all: Cloudflare refuses everything for five minutes once its limit is exceeded, which may happen
# again as long as others use the same account.
_LONGEST_SECONDS = 900.0
_LONGEST_PAUSE = 90.0
# A provider may show a change some seconds after it has confirmed it.
_READ_BACK = (1.0, 2.0, 4.0, 8.0)


class Retry:
    """The tries of one request."""

    def __init__(self, sleep: Callable[[float], None], what: str) -> None:
        """`what` names the request in the log."""
        self._sleep = sleep
        self._what = what
        self._waited = 0.0
        self._tries = itertools.count(1)

    def again(
        self, outcome: Outcome, retry_after: float | None = None, at_least: float = 0.0
    ) -> bool:
        """Wait until it makes sense to try again; False, at once, where it makes none.

        `retry_after` is for how many seconds the answer asks us to stay away. Without that the pause
        is a second, twice as long each time, `at_least` that long, and a minute and a half at most.
        """
        tries = next(self._tries)
        pause = min(max(2.0 ** (tries - 1), at_least), _LONGEST_PAUSE)
        if retry_after is not None:
            pause = retry_after
        is_over = self._waited + pause > _LONGEST_SECONDS or tries >= _TRIES.get(outcome, tries + 1)
        if is_over:
            _log.debug("%s: %s, given up after %d tries", self._what, outcome.name, tries)
            return False
        _log.info("%s: %s, again in %.0f s", self._what, outcome.name, pause)
        self._waited += pause
        self._sleep(pause)
        return True


def until_shown(
    read: Callable[[], _Answer],
    is_right: Callable[[_Answer], bool],
    sleep: Callable[[float], None],
) -> _Answer:
    """The answer once it is right; the last one, where it does not become so within 15 seconds."""
    answer = read()
    for pause in _READ_BACK:
        if is_right(answer):
            break
        sleep(pause)
        answer = read()
    return answer
