"""Makes a message safe to transport before it is signed: 7 bits, and lines of 998 octets at most. Pure.

A mail server on the way may convert 8-bit text for a receiver without 8BITMIME (RFC 6152, section 3),
and cut or refuse longer lines (RFC 5321, section 4.5.3.1.6); both break a signature. So signers should
convert first (RFC 6376, section 5.3). Vertical tabs and form feeds are text to some who verify and white
space to others, who take them out of the relaxed form before they hash it. What the sender has signed or
encrypted itself stays as it is.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from email import errors

from agent.lib.author import RefusedError
from agent.lib.milter import Message
from agent.message.mime import Part, flat, headers, read

LINE = 998  # octets without the line's end
_ENCODING = "Content-Transfer-Encoding"
# The sender's own signature covers them octet by octet (RFC 1847, section 2.1).
_SEALED = ("multipart/signed", "multipart/encrypted")
# Quoted-printable text has lines, and each end of one becomes CR LF.
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_PLAIN = ("", "7bit", "8bit", "binary")
_KNOWN = (*_PLAIN, "quoted-printable", "base64")
_ESCAPED = bytes([*range(9), *range(11, 13), *range(14, 32), ord("="), *range(127, 256)])
_SEND = "send it with quoted-printable or base64 text"


@dataclass(frozen=True)
class Changes:
    """Headers to set, as (name, which of that name from 1, value), headers to add, and a new body."""

    headers: tuple[tuple[bytes, int, bytes], ...] = ()
    added: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None


def safe(message: Message, lines: int) -> Changes:
    """What has to change so that the message can go any way; nothing for most messages.

    RefusedError for lines that are too long and can be neither folded nor encoded, for 8-bit text that
    the sender has signed, and for more than `lines` lines where parts have to be told apart.
    """
    folded = tuple(_folded_headers(message))
    body = message.body
    if _is_plain(body):
        return Changes(folded)
    try:
        changes = _encoded(message, lines)
    except (errors.MessageError, RecursionError, LookupError, ValueError):
        changes = Changes()  # a structure that cannot be read cannot be written either
    if has_long_line(body if changes.body is None else changes.body):
        raise RefusedError(
            "5.6.0",
            f"the text has a line of more than {LINE} octets (RFC 5321, section 4.5.3.1.6) where it "
            "cannot be encoded: send that part as quoted-printable or base64",
        )
    return Changes((*folded, *changes.headers), changes.added, changes.body)


def _is_plain(text: bytes | bytearray) -> bool:
    """Whether nobody on the way changes it, or reads it otherwise."""
    return text.isascii() and b"\v" not in text and b"\f" not in text and not has_long_line(text)


def has_long_line(text: bytes | bytearray) -> bool:
    """Whether a line has more than 998 octets; its end, LF or CRLF, is not counted."""
    # In steps of almost a thousand octets: to split large text would take many times its memory.
    start, end = 0, len(text)
    while end - start > LINE:
        line_end = text.rfind(b"\n", start, start + LINE + 2)
        if line_end < 0:
            return end - start > LINE + 1 or text[-1:] != b"\r"
        # The only line within this step that can be too long: one octet, and LF alone.
        if line_end == start + LINE + 1 and text[line_end - 1] != ord("\r"):
            if text.find(b"\n", start, line_end) < 0:
                return True
        start = line_end + 1
    return False


def _folded_headers(message: Message) -> list[tuple[bytes, int, bytes]]:
    """The headers with lines that are too long, folded at white space, which changes no meaning."""
    counts: dict[bytes, int] = {}
    folded = []
    for name, value in message.headers:
        low = name.lower()
        counts[low] = counts.get(low, 0) + 1
        whole = name + b":" + value
        if has_long_line(whole):
            lines = [part for line in whole.split(b"\n") for part in _folded(name, line)]
            folded.append((name, counts[low], b"\n".join(lines)[len(name) + 1 :]))
    return folded


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


def _encoded(message: Message, lines: int) -> Changes:
    """The body with its parts in quoted-printable or base64 where they need it."""
    body = message.body
    kept = {name.lower(): value.replace(b"\n", b"\r\n") for name, value in message.headers}
    names = [name for name in (b"content-type", b"content-transfer-encoding") if name in kept]
    head = b"".join(name + b":" + kept[name] + b"\r\n" for name in names)
    head = b"MIME-Version: 1.0\r\n" + head + b"\r\n"
    top = headers(head)
    after: bytes | None
    if top.get_content_maintype() in ("multipart", "message"):
        if body.count(b"\n") > lines:
            raise RefusedError("5.3.4", f"the message has more than {lines} lines: {_SEND}")
        whole = read(head, body)
        if whole is None:
            return Changes()  # what cannot be read cannot be written either
        top = whole
        _encode(top)
        after = flat(top).partition(b"\r\n\r\n")[2]
    else:
        after = _encoded_text(top, body)
    if after is None or after == body:
        return Changes()
    set_, added = [], []
    if encoding := top.get(_ENCODING):
        new = (_ENCODING.encode(), b" " + encoding.strip().encode())
        if b"content-transfer-encoding" in kept:
            set_.append((new[0], 1, new[1]))
        else:
            added.append(new)
    if b"content-type" not in kept:
        # Text beyond ASCII has to say what it is; "unknown-8bit" is RFC 1428's word.
        charset = b"utf-8" if _is_utf8(body) else b"unknown-8bit"
        charset = b"us-ascii" if body.isascii() else charset
        added.append((b"Content-Type", b" text/plain; charset=" + charset))
    if b"mime-version" not in kept:
        added.append((b"MIME-Version", b" 1.0"))
    return Changes(tuple(set_), tuple(added), after)


def _encode(part: Part, *, forwarded: bool = False) -> bool:
    """Encode what needs it, in this part and those within it; whether all of it is 7 bit now.

    `forwarded`: it is within somebody else's message.
    """
    kind = part.get_content_type()
    encoding = _encoding(part)
    if kind in _SEALED and not forwarded and not flat(part).isascii():
        raise RefusedError(
            "5.6.3",
            f"{kind} has 8-bit text, which has to be encoded before it is signed or encrypted "
            "(RFC 1847, section 2.1): use quoted-printable or base64",
        )
    if kind in _SEALED or (part.parts and encoding not in _PLAIN):
        return flat(part).isascii()
    if part.parts:
        within = forwarded or kind.startswith("message/")
        ascii_parts = [_encode(inner, forwarded=within) for inner in part.parts]
        if not all(ascii_parts) or not part.has_ascii_frame:
            return False
        if encoding in ("8bit", "binary"):
            part.replace_header(_ENCODING, " 7bit")
        return True
    content = part.content
    text = _encoded_text(part, content)
    if text is not None:
        part.replace_content(text)
    return (text or content).isascii() and part.has_ascii_frame


def _encoding(part: Part) -> str:
    return str(part.get(_ENCODING, "")).strip().lower()


def _encoded_text(part: Part, content: bytes | bytearray) -> bytes | None:
    """The content of a part without parts in an encoding, which its header then names.

    None where it needs none or can have none.
    """
    if _is_plain(content):
        return None
    encoding = _encoding(part)
    # Of two encodings readers take the one or the other: neither can be replaced.
    if encoding not in _KNOWN or len(part.get_all(_ENCODING, [])) > 1:
        return None
    if encoding == "base64":
        return _folded_base64(content)
    if encoding == "quoted-printable":
        content = binascii.a2b_qp(content)
    name, text = _shorter(content, may_be_text=part.get_content_maintype() == "text")
    if _ENCODING in part:
        part.replace_header(_ENCODING, f" {name}")
    else:
        part[_ENCODING] = f" {name}"
    return text


def _folded_base64(digits: bytes | bytearray) -> bytes | None:
    """Base64 in shorter lines. Decoded it is not: some readers are laxer than this program."""
    if not digits.isascii():
        return None
    digits = digits.translate(None, b" \t\r\n\v\f")
    # Not joined from lines: each would take twice its own memory.
    folded = bytearray()
    for start in range(0, len(digits), 76):
        folded += digits[start : start + 76]
        folded += b"\r\n"
    return bytes(folded)


def _shorter(content: bytes | bytearray, *, may_be_text: bool) -> tuple[str, bytes]:
    """The encoding that takes less room, and the text in it; binary content is always base64."""
    # Quoted-printable takes three octets for each of these, base64 four for three of all.
    escaped = len(content) - len(content.translate(None, _ESCAPED))
    if may_be_text and 6 * escaped <= len(content) and not _BARE.search(content):
        return "quoted-printable", binascii.b2a_qp(content, istext=True)
    encoded = bytearray()
    for start in range(0, len(content), 57):
        encoded += binascii.b2a_base64(content[start : start + 57], newline=False)
        encoded += b"\r\n"
    return "base64", bytes(encoded)


def _is_utf8(text: bytes | bytearray) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
