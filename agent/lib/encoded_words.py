"""What programs make of RFC 2047's encoded words, strict ones and lax ones. Pure.

Few readers keep to the grammar: most decode words that are glued to other text, have `?` in them, name a
language (RFC 2231, section 5), or have octets that their charset does not know, and join neighbours
before or after they decode them. So what a header may say is the sum of these readings.
"""

from __future__ import annotations

import binascii
import re
from itertools import zip_longest

_WORD = re.compile(r"=\?([^?]*)\?([bBqQ])\?(.*?)\?=")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def is_malformed(text: str) -> bool:
    """Whether a word in base64 has more in it than digits: some programs leave that out, some stop there."""
    words = _WORD.finditer(text)
    return any(w[2] in "bB" and not _BASE64.fullmatch(w[3].strip(" \t")) for w in words)


def readings(text: str) -> tuple[str, ...]:
    """`text` with its words decoded, each by itself and joined with its neighbours; none without words."""
    words = list(_WORD.finditer(text))
    if not words:
        return ()
    return _replaced(text, words, joined=False), _replaced(text, words, joined=True)


def _replaced(text: str, words: list[re.Match[str]], *, joined: bool) -> str:
    """The text with words for their meaning; white space between two of them has none."""
    decoded, octets = text[: words[0].start()], b""
    for word, following in zip_longest(words, words[1:]):
        gap = text[word.end() : following.start() if following else None]
        is_last = following is None or bool(gap.strip())
        octets += _octets(word)
        if is_last or not joined or _charset(following) != _charset(word):
            decoded += _decoded(octets, _charset(word))
            octets = b""
        decoded += gap if is_last else ""
    return decoded


def _charset(word: re.Match[str]) -> str:
    return word[1].partition("*")[0].strip().lower()


def _octets(word: re.Match[str]) -> bytes:
    written = word[3].strip(" \t").encode("utf-8")
    if word[2] in "qQ":
        return binascii.a2b_qp(written, header=True)
    digits = written.rstrip(b"=")
    # A digit alone has no octet; some readers leave it out.
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    try:
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:
        return b""


def _decoded(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        # Another reader may know it; nearly all charsets have ASCII in them, some with zeros between.
        return octets.replace(b"\0", b"").decode("ascii", "ignore")
