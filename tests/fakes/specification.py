"""Whether requests and answers are what a provider's own OpenAPI document says of its API."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    """As the document has it, not where the stand-in listens."""
    headers: Mapping[str, str]
    sent: bytes | None
    status: int
    answer: bytes


def folder() -> Path:
    """Where the documents are: they belong to the providers and are no part of the project."""
    return Path(os.environ.get("MAILFLEET_SPECS") or _ROOT.parent / "shared" / "specs")


@functools.cache
def document(provider: str) -> OpenAPI | None:
    """The document PROVIDER.json, or None where it is not on this machine."""
    path = folder() / f"{provider}.json"
    if not path.is_file():
        return None
    return OpenAPI.from_dict(json.loads(path.read_text(encoding="utf-8")))


def violations(provider: str, exchange: Exchange) -> list[str]:
    """What the provider's document forbids; nothing where there is no document."""
    api = document(provider)
    if api is None:
        return []
    request = _request(exchange)
    response = MockResponse(exchange.answer, exchange.status, content_type="application/json")
    found = []
    for check in (api.validate_request, lambda r: api.validate_response(r, response)):
        try:
            check(request)
        except OpenAPIError as error:
            cause = error.__cause__
            details = getattr(cause, "schema_errors", None) or [cause]
            found.append(f"{exchange.method} {exchange.url} {exchange.status}: {error}: {details}")
    return found


def _request(exchange: Exchange) -> MockRequest:
    parts = urlsplit(exchange.url)
    query = parse_qs(parts.query)
    return MockRequest(
        f"{parts.scheme}://{parts.netloc}",
        exchange.method.lower(),
        parts.path,
        args={name: values if len(values) > 1 else values[0] for name, values in query.items()},
        headers=dict(exchange.headers),
        data=exchange.sent or None,
    )
