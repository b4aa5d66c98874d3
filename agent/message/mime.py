"""MIME structures, read and written octet by octet, within limits. Pure.

Python's `email` parses; what it would not write again as it was is not taken apart at all.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from email import errors
from email.feedparser import BytesFeedParser
from email.generator import BytesGenerator
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Compat32, Policy
from itertools import count
from typing import Any, cast

from agent.lib.author import RefusedError

# Each level and each part costs time, and some readers stop at fewer. Exchange Online takes 30 levels
# and 250 parts; a thousand leave room for mail with many pictures.
LEVELS = 30
PARTS = 1000
_PIECE = 65_536


class Part(Message):
    """A part of a message, or all of it."""

    level = 0

    def attach(self, payload: Any) -> None:
        """Also count the levels; RefusedError beyond `LEVELS`."""
        payload.level = self.level + 1
        if payload.level > LEVELS:
            raise RefusedError("5.6.0", f"the parts are nested more than {LEVELS} levels deep")
        super().attach(payload)

    @property
    def parts(self) -> list[Part]:
        """Those within it."""
        inner: Any = self.get_payload()
        return inner if self.is_multipart() else []

    @property
    def content(self) -> bytes:
        """What follows the headers of a part without parts, as it is written."""
        # get_payload would give characters, of a charset that it guesses.
        written = flat(self)
        _, _, content = written.partition(b"\r\n\r\n")
        return content if len(self) else written.removeprefix(b"\r\n")

    @property
    def has_ascii_frame(self) -> bool:
        """Whether its headers, and what stands before and after its parts, are ASCII."""
        lines = [text for header in self.raw_items() for text in header]
        return all(map(str.isascii, (*lines, self.preamble or "", self.epilogue or "")))

    def replace_content(self, text: bytes) -> None:
        """Put encoded text in its place."""
        self.set_payload(text.decode("ascii"))


def headers(head: bytes) -> Part:
    """A part of headers alone; they end with a blank line."""
    part = BytesHeaderParser(policy=_AsWritten(message_factory=Part)).parsebytes(head)
    return cast(Part, part)


def read(head: bytes, body: bytes | bytearray) -> Part | None:
    """The message of the headers `head`, with their blank line, and `body`; lines end with CRLF.

    None where it cannot be written again as it is. RefusedError for more parts or levels than allowed.
    """
    policy = _AsWritten(linesep="\r\n", message_factory=_counted())
    parser = BytesFeedParser(policy=policy)
    parser.feed(head)
    try:
        for start in range(0, len(body), _PIECE):
            parser.feed(bytes(body[start : start + _PIECE]))
        part = cast(Part, parser.close())
        written = flat(part)
    except (errors.MessageError, RecursionError, LookupError, ValueError):
        return None
    same = len(written) == len(head) + len(body) and written.startswith(head)
    # A view, for a slice would be another copy.
    return part if same and memoryview(written)[len(head) :] == memoryview(body) else None


def flat(part: Part) -> bytes:
    """The part with its headers."""
    out = io.BytesIO()
    _Generator(out, mangle_from_=False, maxheaderlen=0).flatten(part)
    return out.getvalue()


class _Generator(BytesGenerator):
    """Ends parts as they were: `email` has an empty line after the last boundary of inner ones."""

    _fp: io.BytesIO

    def _handle_multipart(self, part: Part) -> None:
        super()._handle_multipart(part)  # type: ignore[misc] # known by its name only
        if part.epilogue is None:
            self._fp.seek(-len("\r\n"), io.SEEK_END)
            self._fp.truncate()


def _counted() -> Callable[..., Part]:
    parts = count()

    def new(policy: Policy) -> Part:
        if next(parts) > PARTS:
            raise RefusedError("5.6.0", f"the message has more than {PARTS} parts")
        return Part(policy=policy)

    return new


class _AsWritten(Compat32):
    """Headers are kept octet by octet, with their white space and folds."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, _, value = "".join(sourcelines).partition(":")
        return name, value.rstrip("\r\n")

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value.strip())

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}:{value}\r\n".encode("ascii", "surrogateescape")
