"""Makes a message safe to transport before it is signed: 7 bits, and lines of 998 octets at most. Pure.

A mail server on the way may convert 8-bit text for a receiver without 8BITMIME (RFC 6152, section 3),
and cut or refuse longer lines (RFC 5321, section 4.5.3.1.6); both break a signature. So signers should
convert first (RFC 6376, section 5.3). What the sender has signed or encrypted itself stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass
from email import errors, message_from_bytes
from email.generator import BytesGenerator
from email.message import Message as Part
from email.policy import Compat32
from typing import Any

from agent.author import RefusedError
from agent.milter import Message

LINE = 998  # octets without the line's end
_ENCODING = "Content-Transfer-Encoding"
# The sender's own signature covers them octet by octet (RFC 1847, section 2.1).
_SEALED = ("multipart/signed", "multipart/encrypted")
# Quoted-printable text has lines, and each end of one becomes CR LF.
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_PLAIN = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class Changes:
    """Headers to set, as (name, which of that name from 1, value), headers to add, and a new body."""

    headers: tuple[tuple[bytes, int, bytes], ...] = ()
    added: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None


def safe(message: Message) -> Changes:
    """What has to change so that the message can go any way; nothing for most messages.

    RefusedError for lines that are too long and can be neither folded nor encoded.
    """
    folded = tuple(_folded_headers(message))
    body = bytes(message.body)
    if body.isascii() and _longest(body) <= LINE:
        return Changes(folded)
    try:
        changes = _encoded(message, body)
    except (errors.MessageError, RecursionError, LookupError, ValueError):
        changes = Changes()  # a structure that cannot be read cannot be written either
    if _longest(body if changes.body is None else changes.body) > LINE:
        raise RefusedError(
            "5.6.0",
            f"the text has a line of more than {LINE} octets (RFC 5321, section 4.5.3.1.6) where it "
            "cannot be encoded: send that part as quoted-printable or base64",
        )
    return Changes((*folded, *changes.headers), changes.added, changes.body)


def _longest(text: bytes) -> int:
    return max(len(line.removesuffix(b"\r")) for line in text.split(b"\n"))


def _folded_headers(message: Message) -> list[tuple[bytes, int, bytes]]:
    """The headers with lines that are too long, folded at white space, which changes no meaning."""
    counts: dict[bytes, int] = {}
    found = []
    for name, value in message.headers:
        low = name.lower()
        counts[low] = counts.get(low, 0) + 1
        whole = name + b":" + value
        if _longest(whole) > LINE:
            lines = [part for line in whole.split(b"\n") for part in _folded(name, line)]
            found.append((name, counts[low], b"\n".join(lines)[len(name) + 1 :]))
    return found


def _folded(name: bytes, line: bytes) -> list[bytes]:
    parts = []
    while len(line) > LINE:
        # A folded line begins with its white space, and none may be of white space alone.
        start = len(line) - len(line.lstrip(b" \t")) + 1
        cut = max(line.rfind(b" ", start, LINE + 1), line.rfind(b"\t", start, LINE + 1))
        if cut < 0 or not line[cut:].strip():
            raise RefusedError(
                "5.6.0",
                f"{name.decode('ascii', 'replace')} has more than {LINE} octets (RFC 5322, section "
                "2.1.1) without white space to fold it at",
            )
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line]


def _encoded(message: Message, body: bytes) -> Changes:
    """The body with its parts in quoted-printable or base64 where they need it."""
    kept = {name.lower(): value.replace(b"\n", b"\r\n") for name, value in message.headers}
    names = [name for name in (b"content-type", b"content-transfer-encoding") if name in kept]
    head = b"".join(name + b":" + kept[name] + b"\r\n" for name in names)
    before = b"MIME-Version: 1.0\r\n" + head + b"\r\n" + body
    top = message_from_bytes(before, policy=_AsWritten(linesep="\r\n"))
    if _flat(top) != before:
        return Changes()
    _encode(top)
    after = _content(top)
    if after == body:
        return Changes()
    headers, added = [], []
    if encoding := top.get(_ENCODING):
        new = (_ENCODING.encode(), b" " + encoding.strip().encode())
        if b"content-transfer-encoding" in kept:
            headers.append((new[0], 1, new[1]))
        else:
            added.append(new)
    if b"content-type" not in kept:
        # Text beyond ASCII has to say what it is; "unknown-8bit" is RFC 1428's word.
        charset = b"utf-8" if _is_utf8(body) else b"unknown-8bit"
        charset = b"us-ascii" if body.isascii() else charset
        added.append((b"Content-Type", b" text/plain; charset=" + charset))
    if b"mime-version" not in kept:
        added.append((b"MIME-Version", b" 1.0"))
    return Changes(tuple(headers), tuple(added), after)


def _encode(part: Part) -> None:
    """Encode what needs it, in this part and those within it."""
    kind = part.get_content_type()
    encoding = str(part.get(_ENCODING, "")).strip().lower()
    if kind in _SEALED or (part.is_multipart() and encoding not in _PLAIN):
        return
    if part.is_multipart():
        inner: Any = part.get_payload()
        for one in inner:
            _encode(one)
        if encoding in ("8bit", "binary") and _flat(part).isascii():
            part.replace_header(_ENCODING, " 7bit")
        return
    data = _content(part)
    if data.isascii() and _longest(data) <= LINE:
        return
    # Of two encodings readers take the one or the other: neither can be replaced.
    known = encoding in (*_PLAIN, "quoted-printable", "base64")
    if not known or len(part.get_all(_ENCODING, [])) > 1:
        return
    if encoding == "base64":
        _fold_base64(part, data)
        return
    content: Any = part.get_payload(decode=True)
    name, text = _shorter(content, may_be_text=kind.startswith("text/"))
    part.set_payload(text.decode("ascii"))
    if _ENCODING in part:
        part.replace_header(_ENCODING, f" {name}")
    else:
        part[_ENCODING] = f" {name}"


def _fold_base64(part: Part, data: bytes) -> None:
    """Shorten the lines of a part. Decoded it is not: some readers are laxer than this program."""
    digits = b"".join(data.split()).decode("ascii", "surrogateescape")
    if digits.isascii():
        rows = (digits[at : at + 76] for at in range(0, len(digits), 76))
        part.set_payload("".join(f"{row}\r\n" for row in rows))


def _shorter(content: bytes, *, may_be_text: bool) -> tuple[str, bytes]:
    """The encoding that takes less room, and the text in it; binary content is always base64."""
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    if may_be_text and not _BARE.search(content):
        quoted = binascii.b2a_qp(content, istext=True)
        if len(quoted) <= len(encoded):
            return "quoted-printable", quoted
    return "base64", encoded


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _AsWritten(Compat32):
    """Headers are kept octet by octet, with their white space and folds."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, _, value = "".join(sourcelines).partition(":")
        return name, value.rstrip("\r\n")

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value.strip())

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}:{value}\r\n".encode("ascii", "surrogateescape")


def _flat(part: Part) -> bytes:
    out = io.BytesIO()
    BytesGenerator(out, mangle_from_=False, maxheaderlen=0).flatten(part)
    return out.getvalue()


def _content(part: Part) -> bytes:
    """What follows the part's headers, as it is written."""
    flat = _flat(part)
    return flat.partition(b"\r\n\r\n")[2] if len(part) else flat.removeprefix(b"\r\n")
