"""Requests and answers against Hetzner's own description of the API, where there is a copy."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_ROOT = Path(__file__).resolve().parents[3]
_HOST = "https://api.hetzner.cloud"


def description() -> Path | None:
    """The file: MAILFLEET_SPECS names its folder, beside the checkout is where it is expected."""
    folder = os.environ.get("MAILFLEET_SPECS") or _ROOT.parent / "shared/specs"
    path = Path(folder) / "hetzner.json"
    return path if path.is_file() else None


@functools.cache
def _api() -> OpenAPI | None:
    path = description()
    return OpenAPI.from_dict(json.loads(path.read_text())) if path else None


def violations(
    method: str, target: str, token: str | None, sent: bytes, status: int, answered: bytes
) -> list[str]:
    """What the API's description forbids about a request and its answer."""
    api = _api()
    if api is None:
        return []
    parts = urlsplit(target)
    headers = {"Authorization": token} if token else {}
    query: dict[str, Any] = parse_qs(parts.query)
    args = {name: values if len(values) > 1 else values[0] for name, values in query.items()}
    request = MockRequest(
        _HOST, method.lower(), parts.path, args=args, headers=headers, data=sent or None
    )
    response = MockResponse(answered, status)
    found = []
    for check in (api.validate_request, lambda r: api.validate_response(r, response)):
        try:
            check(request)
        except OpenAPIError as error:
            found.append(f"{method} {target} {status}: {error!r} {error.__cause__!r}")
    return found
