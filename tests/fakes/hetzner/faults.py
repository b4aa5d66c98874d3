"""What can go wrong between a client and the API, once or several times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Fault:
    """What happens to the next `times` requests that match `method` and `path`."""

    kind: Literal["answer", "silence", "drop", "hook"]
    status: int = 500
    code: str = "server_error"
    after: bool = False
    """The change is made all the same."""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST|PUT|DELETE"
    path: str = "/rrsets"
    times: int = 1
    act: Callable[[], None] = lambda: None
    """hook: somebody else's doing, right before the request is carried out."""

    def matches(self, method: str, path: str) -> bool:
        found = re.fullmatch(self.method, method) and re.search(self.path, path)
        return bool(found) and self.times > 0


class ApiError(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, code: str, message: str = "", field: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code
        self.field = field

    def body(self) -> dict[str, object]:
        details: dict[str, object] = {}
        if self.field:
            details["fields"] = [{"name": self.field, "messages": [str(self)]}]
        return {"error": {"code": self.code, "message": str(self), "details": details}}
