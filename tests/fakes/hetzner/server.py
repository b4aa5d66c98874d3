"""The API over HTTP on a loopback socket, so that the SDK's own client, retries and time-outs run."""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.hetzner.faults import ApiError, Fault
from tests.fakes.hetzner.project import Json, Project
from tests.fakes.specification import Exchange, violations

HOST = "https://api.hetzner.cloud"
TOKEN = "t0ken-of-the-fake-project"
READ_ONLY = "t0ken-that-may-only-read"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    note: Callable[[str], None]

    def handle_error(self, *_: Any) -> None:
        """A defect of the fake must not look like one of the network."""
        self.note(traceback.format_exc())


class HetznerFake:
    """The server. `requests` holds what was asked: method and path."""

    def __init__(self, *, validate: bool = True) -> None:
        self.connections = 0
        self._validate = validate
        self.project = Project()
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.per_page = 100
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), self._handler())
        self._http.note = self.violations.append
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def count(self, method: str, pattern: str) -> int:
        return sum(m == method and bool(re.search(pattern, p)) for m, p in self.requests)

    def _handler(fake: HetznerFake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - "self" is taken
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Two small segments and Nagle's algorithm would cost 40 ms for each answer.
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                fake.connections += 1

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def _serve(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake._serve(self, sent)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing: pytest shows what matters."""

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler, sent: bytes) -> None:
        method, path = handler.command, urlsplit(handler.path).path
        token = handler.headers.get("Authorization")
        with self._lock:
            self.requests.append((method, path.removeprefix("/v1")))
            fault = next((f for f in self.faults if f.matches(method, path)), None)
            if fault:
                fault.times -= 1
                fault.act()
            headers: dict[str, str] = {}
            if fault is None or fault.kind == "hook" or fault.after:
                status, body = self._answer(method, handler.path, token, sent)
            if fault and fault.kind == "answer":
                status, body = fault.status, ApiError(fault.status, fault.code).body()
                headers = fault.headers
            if fault and fault.kind in ("silence", "drop"):
                handler.close_connection = True
            else:
                answer = b"" if body is None else json.dumps(body).encode()
                url, asked = f"{HOST}{handler.path}", dict(handler.headers)
                exchange = Exchange(method, url, asked, sent, status, answer)
                self.violations += violations("hetzner", exchange) if self._validate else ()
        if fault and fault.kind == "silence":
            # Until the client has had enough and hangs up.
            handler.connection.recv(1)
        elif not (fault and fault.kind == "drop"):
            _reply(handler, status, answer, headers)

    def _answer(
        self, method: str, target: str, token: str | None, sent: bytes
    ) -> tuple[int, Json | None]:
        try:
            if token not in (f"Bearer {TOKEN}", f"Bearer {READ_ONLY}"):
                raise ApiError(401, "unauthorized", "unable to authenticate")
            if method != "GET" and token == f"Bearer {READ_ONLY}":
                raise ApiError(401, "token_readonly", "token is only allowed to perform GET")
            parts = urlsplit(target)
            body = json.loads(sent) if sent else {}
            path = unquote(parts.path.removeprefix("/v1"))
            return self._route(method, path, parse_qs(parts.query), body)
        except ApiError as refusal:
            return refusal.status, refusal.body()

    def _route(
        self, method: str, path: str, query: dict[str, list[str]], body: Json
    ) -> tuple[int, Json | None]:
        project = self.project
        routes: list[tuple[str, str, Callable[..., tuple[int, Json | None]]]] = [
            ("GET", r"/actions", lambda: (200, project.poll([int(n) for n in query["id"]]))),
            ("GET", r"/zones/([^/]+)", lambda z: (200, {"zone": project.zone(z)})),
            (
                "GET",
                r"/zones/([^/]+)/actions",
                lambda z: (200, self._page("actions", project.running(z), query, 50)),
            ),
            ("GET", r"/zones/([^/]+)/rrsets", lambda z: (200, self._rrsets(z, query))),
            ("POST", r"/zones/([^/]+)/rrsets", lambda z: (201, project.create(z, body))),
            (
                "GET",
                r"/zones/([^/]+)/rrsets/([^/]+)/(\w+)",
                lambda z, n, t: (200, {"rrset": project.rrset(z, n, t)}),
            ),
            (
                "PUT",
                r"/zones/([^/]+)/rrsets/([^/]+)/(\w+)",
                lambda z, n, t: (200, project.label(z, n, t, body)),
            ),
            (
                "DELETE",
                r"/zones/([^/]+)/rrsets/([^/]+)/(\w+)",
                lambda z, n, t: (201, project.delete(z, n, t)),
            ),
            (
                "POST",
                r"/zones/([^/]+)/rrsets/([^/]+)/(\w+)/actions/(\w+)",
                lambda z, n, t, verb: (
                    200 if verb == "update_records" else 201,
                    project.change(z, n, t, verb, body),
                ),
            ),
            (
                "GET",
                r"/(servers|primary_ips|floating_ips)",
                lambda kind: (200, self._page(kind, getattr(project, kind), query, 50)),
            ),
            (
                "POST",
                r"/(servers|primary_ips|floating_ips)/(\d+)/actions/change_dns_ptr",
                lambda kind, n: (201, project.change_pointer(kind, int(n), body)),
            ),
        ]
        for verb, pattern, act in routes:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                return act(*found.groups())
        raise ApiError(404, "not_found", f"no such endpoint: {path}")

    def _rrsets(self, zone: str, query: dict[str, list[str]]) -> Json:
        found = list(self.project.rrsets[self.project.primary(zone)].values())
        return self._page("rrsets", found, query, self.per_page)

    def _page(self, name: str, found: list[Json], query: dict[str, list[str]], most: int) -> Json:
        size = min(int(query.get("per_page", ["25"])[0]), most)
        page = int(query.get("page", ["1"])[0])
        last = max(-(-len(found) // size), 1)
        pagination = {
            "page": page,
            "per_page": size,
            "previous_page": page - 1 if page > 1 else None,
            "next_page": page + 1 if page < last else None,
            "last_page": last,
            "total_entries": len(found),
        }
        entries = found[(page - 1) * size : page * size]
        return {name: entries, "meta": {"pagination": pagination}}


def _reply(
    handler: BaseHTTPRequestHandler, status: int, answer: bytes, headers: dict[str, str]
) -> None:
    handler.send_response(status)
    limits = {"RateLimit-Limit": "3600", "RateLimit-Remaining": "3500", "RateLimit-Reset": "100"}
    for name, text in {**limits, **headers}.items():
        if text:
            handler.send_header(name, text)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(answer)))
    handler.end_headers()
    handler.wfile.write(answer)
