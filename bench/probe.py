"""How long a message takes from the start of its submission until a sink has it."""

from __future__ import annotations

import smtplib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue

from bench import bypass, site
from mailfleet.lab import addresses, namespaces

_SIZE = 5000


class _Session(socketserver.StreamRequestHandler):
    """Just enough SMTP for Postfix to deliver to."""

    server: Sink
    timeout = 600

    def handle(self) -> None:
        self._say("220 sink ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self._say("250 sink")
            elif verb == b"DATA":
                self._say("354 go on")
                self._take()
                self._say("250 2.0.0 taken")
            elif verb == b"QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 ok")

    def _take(self) -> None:
        number = ""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            if line.startswith(b"X-Bench: "):
                number = line[9:].decode().strip()
        self.server.arrived.put((number, time.monotonic()))

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Sink(socketserver.ThreadingTCPServer):
    """An SMTP server at the lab's gateway; `arrived` has each message's number and time."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100

    def __init__(self) -> None:
        self.arrived: Queue[tuple[str, float]] = Queue()
        super().__init__((ADDRESS, PORT), _Session)


ADDRESS = str(addresses.EU.gateways[0])
PORT = 2525


@contextmanager
def listening() -> Iterator[Sink]:
    """The sink, listening within the lab; its socket stays there, whoever uses it."""
    sink = namespaces.inside(namespaces.internet(site.NAME), Sink)
    thread = threading.Thread(target=sink.serve_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.shutdown()
        sink.server_close()
        thread.join()


def latencies(
    sink: Sink, port: int, sender: str, recipient: str, count: int, patience: float
) -> list[float]:
    """Seconds from MAIL FROM to arrival, of messages one after the other.

    A message that has not arrived after `patience` seconds ends the measurement; it counts with the
    time that was waited.
    """
    taken: list[float] = []
    for number in range(count):
        mark = f"{port}-{number}-{time.monotonic_ns()}"
        client = _client(port)
        with client:
            client.ehlo(f"bench.{bypass.HOST}")
            began = time.monotonic()
            client.sendmail(sender, [recipient], _message(mark, sender, recipient))
        arrived = _arrival(sink, mark, began + patience)
        taken.append((arrived or began + patience) - began)
        if arrived is None:
            break
    return taken


def _arrival(sink: Sink, mark: str, until: float) -> float | None:
    while (left := until - time.monotonic()) > 0:
        try:
            number, when = sink.arrived.get(timeout=left)
        except Empty:
            return None
        if number == mark:
            return when
    return None


def _client(port: int) -> smtplib.SMTP:
    """A connection to the host's loopback, made from within the host."""

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=60)

    connection = namespaces.inside(namespaces.of_host(site.NAME, bypass.HOST), connect)
    client = smtplib.SMTP(local_hostname="bench")
    client.sock = connection
    client.file = None
    code, text = client.getreply()
    if code != 220:
        raise site.BenchError(f"port {port} greets with {code} {text.decode(errors='replace')}")
    return client


def _message(mark: str, sender: str, recipient: str) -> str:
    body = "An order is on its way.\r\n" * (_SIZE // 25)
    head = f"X-Bench: {mark}\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\nSubject: Order\r\n"
    return f"{head}\r\n{body}"
