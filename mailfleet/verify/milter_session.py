"""One message shown to a milter, as Postfix shows it: nothing is queued, whatever the answer.

Runs on mail hosts with Debian's own Python: standard library only. It reads a JSON list of asks from
its first argument and prints a JSON list of answers.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import Any

TIMEOUT = 120.0
# Sendmail's milter protocol, version 6. A filter may leave out steps, but not the answers to them.
_VERSION = 6
_ACTIONS = 0x1FF
# Headers and parts of the body without answers, and headers with their white space, too.
_STEPS = 0x37F | 0x80 | 0x80000 | 0x100000
_LEFT_OUT = {
    b"C": 0x01,
    b"H": 0x02,
    b"M": 0x04,
    b"R": 0x08,
    b"B": 0x10,
    b"L": 0x20,
    b"N": 0x40,
    b"T": 0x200,
}
_UNANSWERED = {b"L": 0x80, b"B": 0x80000}
_VERDICTS = {b"a": "accept", b"c": "accept", b"d": "discard", b"r": "reject", b"t": "tempfail"}


def show(ask: dict[str, Any]) -> dict[str, Any]:
    """Show a message; `error` is why there was no verdict.

    An ask has: socket, daemon_name, sender, recipient, headers (pairs) and body. An answer has:
    verdict ("accept", "reject", ...), reply (of a refusal) and headers (pairs that were added).
    """
    result: dict[str, Any] = {"error": "", "verdict": "", "reply": "", "headers": []}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(ask["socket"])
            _converse(connection, ask, result)
    except (OSError, EOFError, struct.error) as error:
        result["error"] = str(error) or type(error).__name__
    return result


def _converse(connection: socket.socket, ask: dict[str, Any], result: dict[str, Any]) -> None:
    _send(connection, b"O", struct.pack("!III", _VERSION, _ACTIONS, _STEPS))
    _, options = _receive(connection)
    left_out = struct.unpack("!III", options[:12])[2]
    peer = b"localhost\x004" + struct.pack("!H", 25) + b"127.0.0.1\0"
    macros = b"C" + _strings("{daemon_name}", ask["daemon_name"], "j", "verify.localhost")
    steps = [
        (b"D", macros),
        (b"C", peer),
        (b"H", _strings("localhost")),
        (b"D", b"M" + _strings("i", "VERIFY")),
        (b"M", _strings(f"<{ask['sender']}>")),
        (b"R", _strings(f"<{ask['recipient']}>")),
        (b"T", b""),
        *((b"L", _strings(name, value)) for name, value in ask["headers"]),
        (b"N", b""),
        *((b"B", piece) for piece in _pieces(ask["body"].encode())),
        (b"E", b""),
    ]
    for command, content in steps:
        if left_out & _LEFT_OUT.get(command, 0):
            continue
        _send(connection, command, content)
        if command == b"E":
            break
        # Macros need no answer.
        answered = command != b"D" and not left_out & _UNANSWERED.get(command, 0)
        if answered and _answer(connection, result) != b"c":
            return
    while _answer(connection, result) not in _VERDICTS and not result["reply"]:
        pass


def _answer(connection: socket.socket, result: dict[str, Any]) -> bytes:
    """Take one answer and note what it says; its kind."""
    kind, content = _receive(connection)
    # An insertion and a change begin with a position.
    words = content[4 if kind in (b"i", b"m") else 0 :].decode(errors="replace").split("\0")
    if kind == b"y":
        result["reply"] = words[0]
        result["verdict"] = "reject" if words[0].startswith("5") else "tempfail"
    elif kind in _VERDICTS:
        result["verdict"] = _VERDICTS[kind]
    elif kind in (b"h", b"i", b"m"):
        result["headers"].append(words[:2])
    return kind


def _pieces(body: bytes) -> list[bytes]:
    """As large as Postfix sends them."""
    return [body[start : start + 65_535] for start in range(0, len(body) or 1, 65_535)]


def _strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def _send(connection: socket.socket, command: bytes, content: bytes) -> None:
    connection.sendall(struct.pack("!I", len(content) + 1) + command + content)


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    length = struct.unpack("!I", _exactly(connection, 4))[0]
    packet = _exactly(connection, length)
    return packet[:1], packet[1:]


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError("the scanner closed the connection")
        data += more
    return data


if __name__ == "__main__":
    print(json.dumps([show(ask) for ask in json.loads(sys.argv[1])]))
