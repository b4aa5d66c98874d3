"""Tag lists, the form of DKIM, DMARC and other TXT records (RFC 6376 §3.2, RFC 9989 §4.7)."""

from __future__ import annotations


def tags(content: bytes) -> dict[str, str]:
    """The tags of a record by name; of a tag that stands there twice, the first."""
    by_name: dict[str, str] = {}
    for part in content.decode("utf-8", "replace").split(";"):
        name, equals, value = part.partition("=")
        if equals:
            by_name.setdefault(name.strip().lower(), value.strip())
    return by_name
