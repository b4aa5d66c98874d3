"""Calls to the API: the token in each request, pages put together, rate limits waited out."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import cloudflare
import httpx

from mailfleet.apis.retry import Retry
from mailfleet.dns.providers.cloudflare.batches import Batch
from mailfleet.dns.providers.cloudflare.convert import known_name
from mailfleet.dns.providers.cloudflare.errors import SECRET, failure, outcome_of, retry_after
from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret, variable

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

ENDPOINT = "https://api.cloudflare.com/client/v4"

_CONNECT = 10.0
_ZONES_PER_PAGE = 50
_RECORDS_PER_PAGE = 5000


@dataclass(frozen=True)
class ZoneInfo:
    """A zone, as far as it decides whether it can be written."""

    id: str
    name: str
    type: str
    status: str
    paused: bool
    permissions: frozenset[str]


class Calls:
    """The few calls that the driver needs."""

    def __init__(
        self, client: cloudflare.Cloudflare, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self.sleep = sleep

    def zones(self, page: int = 1, name: str | None = None) -> tuple[list[ZoneInfo], int]:
        """One page of the zones that the token may read, and how many pages there are.

        `name` is a zone's name or a filter such as `ends_with:arpa`.
        """
        what = f"look the zone {name} up" if name else "list the zones"
        filters: dict[str, Any] = {"name": name} if name else {}

        def call() -> tuple[list[dict[str, Any]], int]:
            answer = self._client.zones.list(
                page=page, per_page=_ZONES_PER_PAGE, order="name", **filters
            )
            return _rows(answer), _pages(answer, page, _ZONES_PER_PAGE)

        listed, pages = self._read(call, what)
        return [_zone_info(entry) for entry in listed], pages

    def records(self, zone: ZoneInfo) -> list[dict[str, Any]]:
        """Every record of a zone, with one request per page."""
        return list(self._records(zone))

    def batch(self, zone: ZoneInfo, batch: Batch) -> None:
        """One batch, tried once. Raises what the SDK raises, and ValueError for an odd answer."""

        def call() -> None:
            # The SDK's types spell out one table for each record type.
            self._client.dns.records.batch(
                zone_id=zone.id,
                deletes=[{"id": record.id} for record in batch.deletes],
                puts=cast(Any, [put.body() for put in batch.puts]),
                posts=cast(Any, [post.body() for post in batch.posts]),
            )

        _checked(call)

    def _records(self, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
        page, pages = 1, 1
        while page <= pages:

            def call(page: int = page) -> tuple[list[dict[str, Any]], int]:
                answer = self._client.dns.records.list(
                    zone_id=zone.id, page=page, per_page=_RECORDS_PER_PAGE
                )
                return _rows(answer), _pages(answer, page, _RECORDS_PER_PAGE)

            listed, pages = self._read(call, f"read the zone {zone.name}")
            yield from listed
            page += 1

    def _read(self, call: Callable[[], _Result], what: str) -> _Result:
        retry = Retry(self.sleep, what)
        while True:
            try:
                return _checked(call)
            except (cloudflare.CloudflareError, ValueError) as error:
                outcome, pause, problem = (
                    outcome_of(error),
                    retry_after(error),
                    failure(error, what),
                )
            if not retry.again(outcome, pause):
                raise problem


def _checked(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except (AttributeError, KeyError, TypeError) as error:
        # The SDK takes for granted that an answer has the form it expects.
        raise ValueError("not what the API answers") from error


def open_client(token: Secret, endpoint: str, timeout: float) -> cloudflare.Cloudflare:
    """The SDK's client: it neither retries nor knows the token.

    With CLOUDFLARE_EMAIL or CLOUDFLARE_API_KEY in the environment the SDK sends those instead of a
    token that it was given, and CLOUDFLARE_CUSTOM_HEADERS adds to every request. So the token is
    put into a request last, when the SDK is done with it. MailfleetError for a text that can be no
    token: as a header it would be refused in words that repeat it.
    """

    if not re.fullmatch(r"[!-~]+", token.reveal()):
        raise MailfleetError(
            f"the secret {variable(SECRET)} is no API token: it holds blanks, line breaks or letters "
            "that no token has",
            "copy it again, in one piece",
        )

    def authorise(request: httpx.Request) -> None:
        for name in [name for name in request.headers if name.lower().startswith("x-auth-")]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {token.reveal()}"

    def note(response: httpx.Response) -> None:
        request = response.request
        _log.info("cloudflare: %s %s: %d", request.method, request.url.path, response.status_code)

    timeouts = httpx.Timeout(timeout, connect=min(timeout, _CONNECT))
    return cloudflare.Cloudflare(
        api_token="set-later",  # noqa: S106 (the SDK wants one)
        base_url=endpoint,
        max_retries=0,
        timeout=timeouts,
        http_client=httpx.Client(
            event_hooks={"request": [authorise], "response": [note]}, timeout=timeouts
        ),
    )


def _rows(answer: Any) -> list[dict[str, Any]]:
    """What a page lists. ValueError where it is no page: the SDK checks no answer."""
    result = getattr(answer, "result", None)
    if not isinstance(result, list):
        raise ValueError("not a list")
    rows = [row.to_dict() for row in result]
    if not all({"id", "name"} <= row.keys() for row in rows):
        raise ValueError("not a list of zones or records")
    return rows


def _pages(answer: Any, page: int, per_page: int) -> int:
    """How many pages there are. The SDK's own iteration asks until it gets an empty one."""
    extra = (answer.result_info.model_extra or {}) if answer.result_info else {}
    if "total_pages" in extra:
        return int(extra["total_pages"])
    return page + 1 if len(answer.result) >= per_page else page


def _zone_info(entry: dict[str, Any]) -> ZoneInfo:
    return ZoneInfo(
        id=str(entry["id"]),
        name=known_name(str(entry["name"])),
        type=str(entry.get("type") or "full"),
        status=str(entry.get("status") or "active"),
        paused=bool(entry.get("paused")),
        permissions=frozenset(map(str, entry.get("permissions") or ())),
    )
