"""The way to the API: one client, its time-outs, and what its answers say of waiting."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import requests
from hcloud import APIException, Client
from requests import RequestException

from mailfleet.apis.hetzner.errors import PERMISSION, READ_ONLY, VARIABLE, failure, outcome_of
from mailfleet.apis.retry import Outcome, Retry
from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret

ENDPOINT = "https://api.hetzner.cloud/v1"

_TIMEOUT = (5.0, 30.0)
# The limit of 3600 an hour regains one a second: nobody needs to wait until all of it is there.
_RESET_SECONDS = 30.0
# The highest number that the API's description allows; none is handed out at random.
_NOBODY = 9007199254740991

_log = logging.getLogger(__name__)
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
        """The answer to a request; `doing` completes "cannot".

        It is sent again where that makes sense. What must not be repeated unseen, `send` looks up
        itself before it raises.
        """
        retry = Retry(self.clock.pause, doing)
        while True:
            try:
                return send()
            except (APIException, RequestException) as error:
                # Raised outside of the handler: the exception holds the request and its headers.
                outcome = outcome_of(error)
                retry_after = self._retry_after() if outcome is Outcome.LIMITED else None
                problem = failure(doing, error, retry_after)
            reset = self._reset_in() if outcome is Outcome.LIMITED else 0.0
            if not retry.again(outcome, retry_after, at_least=min(reset, _RESET_SECONDS)):
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

    def _retry_after(self) -> float | None:
        """Seconds to stay away, where the last answer says so."""
        after = self._headers.get("retry-after", "")
        return float(after) if after.isdecimal() else None

    def _reset_in(self) -> float:
        """Seconds until all of the limit is there again, which the next few requests need not."""
        reset = self._headers.get("ratelimit-reset", "")
        return float(reset) - self.clock.now() if reset.isdecimal() else 0.0

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        request = response.request
        _log.info("hetzner: %s %s: %d", request.method, request.path_url, response.status_code)
        self._headers = {name.lower(): text for name, text in response.headers.items()}
