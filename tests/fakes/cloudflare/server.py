"""The stand-in's HTTP side: real sockets, so that the SDK's own errors and time-outs happen."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.cloudflare.account import Account, FakeZone, Record, RefusedError
from tests.fakes.specification import Exchange, violations

_HOST = "https://api.cloudflare.com"
_PREFIX = "/client/v4"
# Longer than any time-out that a test sets, and cut short when the server closes.
_HANG = 20.0
_SAMPLE = 12
_ZONES = re.compile(r"/zones/?")
_ZONE = re.compile(r"/zones/([0-9a-f]+)")
_DNSSEC = re.compile(r"/zones/([0-9a-f]+)/dnssec")
_RECORDS = re.compile(r"/zones/([0-9a-f]+)/dns_records")
_BATCH = re.compile(r"/zones/([0-9a-f]+)/dns_records/batch")
_RECORD = re.compile(r"/zones/([0-9a-f]+)/dns_records/([0-9a-f]{32})")


@dataclass
class Fault:
    """What goes wrong with the next requests that match `method` and the end of the path."""

    method: str = "POST"
    path: str = "/batch"
    status: int = 500
    code: int = 1101
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """Whether the change is made all the same."""
    instead: str = ""
    """ "drop" closes the connection without an answer, "hang" lets the client wait."""
    action: Callable[[], object] | None = None
    """What somebody else does at that moment; with status 0 the request then goes on."""
    times: int = 1


class FakeCloudflare:
    """The API of one account at `endpoint`, until `close`."""

    def __init__(self, account: Account, *, validate: bool = True) -> None:
        self.account = account
        self.requests: list[str] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self._validate = validate
        self._closing = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake._handle(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the library's names)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PREFIX}"

    def fail(self, **fields: Any) -> None:
        """Let a request fail; see `Fault`."""
        self.faults.append(Fault(**fields))

    def count(self, start: str) -> int:
        """How many requests began so, e.g. "GET /zones"."""
        return sum(request.startswith(start) for request in self.requests)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handle(self, http: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(http.path)
        path, query = parts.path.removeprefix(_PREFIX), dict(parse_qsl(parts.query))
        sent = http.rfile.read(int(http.headers.get("Content-Length") or 0)) or None
        with self._lock:
            self.requests.append(f"{http.command} {path}")
            fault = self._fault(http.command, path)
            if fault and fault.action:
                fault.action()
            failing = fault if fault and (fault.status or fault.instead) else None
            if failing and not failing.after:
                status, body = failing.status, _failure(failing.code, "made to fail")
            else:
                status, body = self._answer(http, path, query, sent)
                if self._validate:
                    self.violations += violations("cloudflare", _exchange(http, sent, status, body))
                if failing:
                    status, body = failing.status, _failure(failing.code, "made to fail")
        if failing and failing.instead:
            if failing.instead == "hang":
                self._closing.wait(_HANG)
            return
        _respond(http, status, body, failing.headers if failing else {})

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and path.endswith(fault.path):
                fault.times -= 1
                return fault
        return None

    def _answer(
        self, http: BaseHTTPRequestHandler, path: str, query: dict[str, str], sent: bytes | None
    ) -> tuple[int, dict[str, Any]]:
        try:
            if any(name.lower().startswith("x-auth-") for name in http.headers):
                raise RefusedError(400, 6003, "Invalid request headers")
            if http.headers.get("Authorization") != f"Bearer {self.account.token}":
                raise RefusedError(401, 10000, "Authentication error")
            given = json.loads(sent) if sent else {}
            return 200, self._route(http.command, path, query, given)
        except RefusedError as refused:
            return refused.status, _failure(refused.code, refused.message)

    def _route(
        self, method: str, path: str, query: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        if method == "GET" and _ZONES.fullmatch(path):
            found = [zone.shown() for zone in self.account.matching(query.get("name", ""))]
            return self._page(found, query, 20)
        if method == "GET" and (match := _ZONE.fullmatch(path)):
            return _success(self.account.by_id(match[1]).shown())
        if method == "GET" and (match := _DNSSEC.fullmatch(path)):
            self.account.by_id(match[1])
            return _success({"status": "disabled"})
        if match := _BATCH.fullmatch(path):
            return _success(self._writable(match[1]).batch(given))
        if match := _RECORDS.fullmatch(path):
            if method == "GET":
                records = list(self.account.by_id(match[1]).records.values())
                return self._page(records, query, 100)
            return _success(self._writable(match[1]).create(given))
        if match := _RECORD.fullmatch(path):
            return _success(_one_record(self._writable(match[1]), method, match[2], given))
        raise RefusedError(404, 7000, "No route for that URI")

    def _writable(self, key: str) -> FakeZone:
        zone = self.account.by_id(key)
        if zone.permissions and "#dns_records:edit" not in zone.permissions:
            raise RefusedError(403, 10000, "Authentication error")
        return zone

    def _page(
        self, entries: list[dict[str, Any]], query: dict[str, str], default: int
    ) -> dict[str, Any]:
        page = int(query.get("page", 1))
        size = min(int(query.get("per_page", default)), self.account.largest_page)
        part = entries[(page - 1) * size : page * size]
        info = {
            "page": page,
            "per_page": size,
            "count": len(part),
            "total_count": len(entries),
            "total_pages": -(-len(entries) // size),
        }
        return {**_success(part), "result_info": info}


def _one_record(zone: FakeZone, method: str, key: str, given: Record) -> Record:
    match method:
        case "PUT":
            return zone.overwrite(key, given)
        case "PATCH":
            return zone.edit(key, given)
        case "DELETE":
            return {"id": zone.delete(key)["id"]}
    return zone.records[key]


def _success(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


def _failure(code: int, message: str) -> dict[str, Any]:
    errors = [{"code": code, "message": message}]
    return {"success": False, "errors": errors, "messages": [], "result": None}


def _sample(body: dict[str, Any]) -> dict[str, Any]:
    """The answer with the first of many records: each costs milliseconds to validate."""
    result = body["result"]
    return {**body, "result": result[:_SAMPLE]} if isinstance(result, list) else body


def _exchange(
    http: BaseHTTPRequestHandler, sent: bytes | None, status: int, body: dict[str, Any]
) -> Exchange:
    # Cloudflare takes a null MX (RFC 7505), although its document says that it is a host name.
    sent = sent.replace(b'"content":"."', b'"content":"null.invalid"') if sent else None
    answer = json.dumps(_sample(body)).encode()
    answer = answer.replace(b'"content": "."', b'"content": "null.invalid"')
    headers = dict(http.headers)
    return Exchange(http.command, f"{_HOST}{http.path}", headers, sent, status, answer)


def _respond(
    http: BaseHTTPRequestHandler, status: int, body: dict[str, Any], headers: dict[str, str]
) -> None:
    content = json.dumps(body).encode()
    http.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        http.send_header(name, value)
    http.send_header("Content-Length", str(len(content)))
    http.end_headers()
    http.wfile.write(content)
