"""The way to the API: one client, its time-outs, and how long refusal and silence are waited out."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import requests
from hcloud import APIException, Client
from requests import RequestException

from mailfleet.apis.hetzner.errors import (
    PERMISSION,
    READ_ONLY,
    VARIABLE,
    Error,
    Kind,
    failure,
    kind,
)
from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret

ENDPOINT = "https://api.hetzner.cloud/v1"

_TIMEOUT = (5.0, 30.0)
# A request that is limited is repeated for so long: the limit of 3600 an hour regains one a second.
_PATIENCE = 600.0
_LONGEST = 30.0
# The highest number that the API's description allows; none is handed out at random.
_NOBODY = 9007199254740991
_TRIES = {Kind.BUSY: 8, Kind.UNKNOWN: 5}

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """Time, for tests to replace."""

    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep


class Connection:
    """One project's API. `endpoint` is for tests and proxies."""

    def __init__(
        self,
        token: Secret,
        endpoint: str = ENDPOINT,
        clock: Clock | None = None,
        timeout: tuple[float, float] = _TIMEOUT,
    ) -> None:
        text = token.reveal()
        if not re.fullmatch(r"[!-~]+", text):
            # requests would refuse the header, and show it.
            problem = f"the secret {VARIABLE} holds characters that no token has"
            raise MailfleetError(problem, f"copy it again: {PERMISSION}")
        self.clock = clock or Clock()
        self.client = Client(text, endpoint.rstrip("/"), "mailfleet", timeout=timeout)
        self._headers: dict[str, str] = {}
        inner = self.client._client
        # The client would repeat a POST after a time-out without a look at what it has done, and
        # give up on a limit after 31 s, whatever Retry-After says.
        inner._retry_max_retries = 0
        inner._session.hooks["response"].append(self._note)

    def ask(self, doing: str, send: Callable[[], T]) -> T:
        """The answer to a request that may be repeated; `doing` completes "cannot"."""
        patience = Patience(self)
        while True:
            try:
                return send()
            except (APIException, RequestException) as error:
                # Raised outside of the handler: the exception holds the request and its headers.
                problem = patience.wait(doing, error)
            if problem is not None:
                raise problem

    @cached_property
    def may_write(self) -> bool:
        """Whether the token may change anything; asked once.

        The API does not tell what a token may, so this asks for a change to an IP that cannot exist.
        """
        return self.ask("find out whether the token may write", self._try_to_write)

    def _try_to_write(self) -> bool:
        try:
            self.client.request(
                "POST",
                f"/primary_ips/{_NOBODY}/actions/change_dns_ptr",
                json={"ip": "192.0.2.1", "dns_ptr": None},
            )
        except APIException as error:
            if error.code in ("not_found", "invalid_input"):
                return True
            if error.code in (READ_ONLY, "forbidden"):
                return False
            raise
        return True

    def retry_after(self) -> float | None:
        """Seconds to stay away, where the last answer says so."""
        after = self._headers.get("retry-after", "")
        return float(after) if after.isdecimal() else None

    def reset_in(self) -> float:
        """Seconds until all of the limit is there again, which the next few requests need not."""
        reset = self._headers.get("ratelimit-reset", "")
        return float(reset) - self.clock.now() if reset.isdecimal() else 0.0

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._headers = {name.lower(): text for name, text in response.headers.items()}


class Patience:
    """How long one request is repeated."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._until = connection.clock.now() + _PATIENCE
        self._tries = itertools.count(1)

    def wait(self, doing: str, error: Error) -> MailfleetError | None:
        """Wait until it makes sense to try again; what to raise instead, where it makes none."""
        clock, found, tries = self._connection.clock, kind(error), next(self._tries)
        pause = 2.0 ** (tries - 1)
        told = self._connection.retry_after() if found is Kind.LIMITED else None
        if found is Kind.LIMITED:
            pause = max(pause, self._connection.reset_in())
        pause = min(pause, _LONGEST) if told is None else told
        over = clock.now() + pause > self._until or tries >= _TRIES.get(found, tries + 1)
        if found is Kind.REFUSED or over:
            return failure(doing, error, told)
        clock.pause(pause)
        return None
