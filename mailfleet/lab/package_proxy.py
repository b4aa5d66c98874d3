"""The package proxy's process: `python -m mailfleet.lab.package_proxy CONFIG.json`.

What it may fetch is said in `packages`. It listens within the lab and fetches from without; files
that never change (packages, indexes by hash) are kept for all labs of the machine.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from mailfleet.lab import namespaces
from mailfleet.lab.packages import Upstream, source_of, upstreams

_UNCHANGING = re.compile(r"(/pool/.*\.deb|/by-hash/[A-Za-z0-9]+/[0-9a-f]+)$")
_CHUNK = 256 * 1024
_TIMEOUT = 60
_USER = "_apt"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300
    server: _Server

    def do_GET(self) -> None:
        source = source_of(self.path, self.server.upstreams)
        if source is None:
            self._refuse(403, "only the Debian mirrors can be reached from the lab")
            return
        kept = self.server.cache / source.split("://", 1)[1]
        try:
            if not _UNCHANGING.search(source):
                self._pass_on(source)
            elif kept.is_file():
                with kept.open("rb") as file:
                    self._send(200, os.fstat(file.fileno()).st_size, {}, file)
            else:
                self._keep_and_send(source, kept)
        except urllib.error.HTTPError as error:
            self._refuse(error.code, error.reason)
        except urllib.error.URLError as error:
            self._refuse(502, f"the mirror does not answer: {error.reason}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _pass_on(self, source: str) -> None:
        wanted = {
            name: self.headers[name]
            for name in ("If-Modified-Since", "Cache-Control")
            if name in self.headers
        }
        with self.server.fetch(source, wanted) as answer:
            kept = {
                name: answer.headers[name]
                for name in ("Last-Modified", "Content-Type")
                if name in answer.headers
            }
            length = answer.headers["Content-Length"]
            if length is None:
                # Without a length only the end of the connection marks the end.
                self.close_connection = True
            self._send(200, length, kept, answer)

    def _keep_and_send(self, source: str, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.server.cache) as part:
            with self.server.fetch(source, {}) as answer:
                while chunk := answer.read(_CHUNK):
                    part.write(chunk)
                length = answer.headers["Content-Length"]
            part.flush()
            if length is not None and part.tell() != int(length):
                raise urllib.error.URLError("it broke off")
            if not kept.exists():
                os.link(part.name, kept)
            part.seek(0)
            self._send(200, os.fstat(part.fileno()).st_size, {}, part)

    def _send(self, code: int, length: Any, headers: dict[str, str], body: IO[bytes]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "GET":
            while chunk := body.read(_CHUNK):
                self.wfile.write(chunk)

    def _refuse(self, code: int, reason: str) -> None:
        text = f"{reason}\n".encode()
        self.send_response(code)
        if code != 304:
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD" and code != 304:
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        sys.stderr.write(f"{self.client_address[0]} {format % args}\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def __init__(self, port: int, allowed: tuple[Upstream, ...], cache: Path, proxy: str) -> None:
        self.upstreams = allowed
        self.cache = cache
        handlers = [urllib.request.ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
        self._opener = urllib.request.build_opener(*handlers)
        super().__init__(("::", port), _Handler)

    @contextmanager
    def fetch(self, source: str, headers: dict[str, str]) -> Iterator[Any]:
        # `source` begins with a mirror's address: http or https.
        request = urllib.request.Request(source, headers=headers)  # noqa: S310
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            yield answer


def main(path: str) -> None:
    """Serve for ever, as an unprivileged user, what the configuration in `path` says."""
    settings = json.loads(Path(path).read_text())
    user = pwd.getpwnam(_USER)
    cache = Path(settings["cache"])
    os.chown(cache, user.pw_uid, user.pw_gid)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    namespaces.join(settings["namespace"])
    server = _Server(settings["port"], upstreams(settings["mirrors"]), cache, settings["proxy"])
    # The listening socket stays in the lab; what we open from now on is outside.
    namespaces.join_descriptor(outside)
    os.close(outside)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
