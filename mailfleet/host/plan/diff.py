"""The difference of two texts, as `diff -u` shows it, without secrets and without control characters."""

from __future__ import annotations

import difflib
import re

_MASK = "***"
_KEY = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----)(.*?)(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S
)
# What people write into files by hand; what is ours is marked as secret in the HostState.
_PATTERNS = (
    # crypt(3): $id$salt$hash, and DES-like hashes are of no use any more.
    (re.compile(r"\$[0-9a-zA-Z]{1,8}\$[^\s:'\"]{8,}"), _MASK),
    (re.compile(r"(\{(?:SSHA|SHA|SMD5|MD5|CRYPT|PLAIN|BLF-CRYPT|ARGON2)[^}]*\})[^\s:'\"]+", re.I),
     rf"\1{_MASK}"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)"), rf"\1{_MASK}\2"),
    (re.compile(
        r"((?:password|passwd|passphrase|secret|token|api[_-]?key)[\"']?(?:\s*(?:=>|[=:])\s*|\s+))"
        r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s#;]+)", re.I), rf"\1{_MASK}"),
)  # fmt: skip
_NO_NEWLINE = "\\ No newline at end of file"


def masked(text: str) -> str:
    """The text with `***` for what is a secret by its form; as many lines as before.

    Private keys (RFC 7468), password hashes of crypt(3) and LDAP schemes, passwords in URLs, and the
    values of settings that are called password, secret or token.
    """
    text = _KEY.sub(lambda match: match[1] + re.sub(r"[^\n]+", _MASK, match[2]) + match[3], text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def unified_diff(old: bytes, new: bytes, path: str, *, is_new: bool = False) -> tuple[str, ...]:
    """The lines of a unified diff with three lines of context; empty where only secrets differ.

    Bytes that are no UTF-8, and characters that a terminal would obey, are shown as escapes.
    """
    before, after = (_lines(masked(_text(content))) for content in (old, new))
    rows = difflib.unified_diff(before, after, "/dev/null" if is_new else path, path)
    shown: list[str] = []
    for row in rows:
        shown.append(_printable(row.rstrip("\n")))
        if not row.endswith("\n"):
            shown.append(_NO_NEWLINE)
    return tuple(shown)


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="backslashreplace")


def _lines(text: str) -> list[str]:
    """Lines that end with a line feed only, unlike str.splitlines."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _printable(text: str) -> str:
    return "".join(
        char
        if char.isprintable() or char == "\t"
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
