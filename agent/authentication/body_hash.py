"""The hash of a message's body as DKIM defines it (RFC 6376, section 3.4), piece by piece. Pure.

dkimpy needs the whole body at once, and its expressions take quadratic time for long runs of spaces. Here
memory does not grow with the body, and time only in proportion.
"""

from __future__ import annotations

import hashlib
import re

_RUN = re.compile(rb"[ \t]+")
_LINES = 16_384  # empty lines that are hashed at a time


class BodyHash:
    """SHA-256 of a body in the canonical form "simple" or "relaxed" (RFC 6376, sections 3.4.3, 3.4.4)."""

    def __init__(self, form: str) -> None:
        self._relaxed = form == "relaxed"
        self._hash = hashlib.sha256()
        self._pending = b""
        """The end of the last piece whose meaning the next one decides: a space, a CR."""
        self._empty_lines = 0
        """Line ends that count only if something follows."""
        self.octets = 0
        """Of the canonical form, once `digest` was called."""

    def update(self, piece: bytes) -> None:
        """Take the next octets; lines end with CRLF."""
        self._take(self._pending + piece, last=False)

    def digest(self) -> bytes:
        """The hash; no further piece may follow."""
        self._take(self._pending, last=True)
        # A last line without an end gets one. An empty body is one line in "simple", none in "relaxed".
        if self.octets or not self._relaxed:
            self._add(b"\r\n")
        return self._hash.digest()

    def _take(self, data: bytes, *, last: bool) -> None:
        if self._relaxed:
            data = _RUN.sub(b" ", data).replace(b" \r\n", b"\r\n")
        self._pending = b"" if last else _undecided(data)
        data = data[: len(data) - len(self._pending)]
        ends = _count_ends(data[len(data.rstrip(b"\r\n")) :])
        text = data[: len(data) - 2 * ends]
        if text:
            while self._empty_lines:
                lines = min(self._empty_lines, _LINES)
                self._add(b"\r\n" * lines)
                self._empty_lines -= lines
            self._add(text)
        self._empty_lines += ends

    def _add(self, data: bytes) -> None:
        self._hash.update(data)
        self.octets += len(data)


def _undecided(data: bytes) -> bytes:
    """What may turn out to be part of a line's end, or of a longer run of spaces."""
    end = len(data) - 1 if data.endswith(b"\r") else len(data)
    return data[end - 1 :] if data[:end].endswith((b" ", b"\t")) else data[end:]


def _count_ends(tail: bytes) -> int:
    """How many CRLF a run of CR and LF ends with."""
    if tail == b"\r\n" * (len(tail) // 2):
        return len(tail) // 2
    count = 0
    while tail.endswith(b"\r\n", 0, len(tail) - 2 * count):
        count += 1
    return count
