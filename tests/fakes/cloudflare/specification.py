"""Whether requests and answers are what the provider's OpenAPI document says."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_ROOT = Path(__file__).resolve().parents[3]


def folder() -> Path:
    """Where the documents are: they belong to the providers and are no part of the project."""
    return Path(os.environ.get("MAILFLEET_SPECS") or _ROOT.parent / "shared" / "specs")


@functools.cache
def document(name: str) -> OpenAPI | None:
    """The document `name`.json, or None where it is not on this machine."""
    path = folder() / f"{name}.json"
    if not path.is_file():
        return None
    return OpenAPI.from_dict(json.loads(path.read_text(encoding="utf-8")))


def violations(
    api: OpenAPI,
    method: str,
    target: str,
    query: dict[str, str],
    headers: dict[str, str],
    sent: bytes | None,
    status: int,
    answer: bytes,
) -> list[str]:
    """What the document does not allow of one request and its answer."""
    host = "https://api.cloudflare.com"
    # Cloudflare takes a null MX (RFC 7505), although its document says that it is a host name.
    sent = sent.replace(b'"content":"."', b'"content":"null.invalid"') if sent else None
    answer = answer.replace(b'"content": "."', b'"content": "null.invalid"')
    request = MockRequest(host, method.lower(), target, args=query, headers=headers, data=sent)
    response = MockResponse(answer, status, content_type="application/json")
    found = []
    try:
        # A request that the server refuses may well be wrong.
        if status < 400:
            api.validate_request(request)
        # No document describes a failing server.
        if status < 500:
            api.validate_response(request, response)
    except OpenAPIError as error:
        cause = error.__cause__
        details = getattr(cause, "schema_errors", None) or [cause]
        found.append(f"{method} {target} {status}: {error}: {details}")
    return found
