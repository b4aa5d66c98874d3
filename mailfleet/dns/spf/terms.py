"""Reading SPF records: their terms (RFC 7208 §4.6, §5, §6) and macros (§7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from mailfleet.dns.rrset import octets

NEEDS_LOOKUP = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
"""What counts towards the ten look-ups (§4.6.4)."""

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
# A "/" inside of a macro's braces is a delimiter (§7.1), any other begins a prefix length.
_MECHANISM = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9_.-]*)(?::((?:%\{[^}]*\}|[^/])*))?((?:/.*)?)")
_LENGTHS = re.compile(r"(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?")
_MACRO = re.compile(r"%(?:\{([A-Za-z])([0-9]*)(r?)([-.+,/_=]*)\}|([%_-]))", re.IGNORECASE)
_PLAIN = {"%": "%", "_": " ", "-": "%20"}
_DOMAIN_ONLY = frozenset({"include", "exists"})


class SpfSyntaxError(ValueError):
    """A record that receivers answer with permerror; the text says why."""


@dataclass(frozen=True)
class Term:
    """One mechanism, or a modifier, which has no qualifier."""

    text: str
    qualifier: str
    name: str
    value: str
    """Domain or address, macros not expanded; empty where none is given."""
    v4: int = 32
    v6: int = 128


def spf_records(values: Iterable[str]) -> list[str]:
    """The SPF records among TXT values (§4.5): those that begin with exactly `v=spf1`."""
    texts = (octets(value).decode("latin-1") for value in values)
    return [text for text in texts if text.lower() == "v=spf1" or text.lower()[:7] == "v=spf1 "]


def terms(record: str) -> list[Term]:
    """The terms of a record in order; SpfSyntaxError where it is malformed."""
    spf_terms = [_term(text) for text in record.split(" ")[1:] if text]
    for name in ("redirect", "exp"):
        if sum(term.name == name and not term.qualifier for term in spf_terms) > 1:
            raise SpfSyntaxError(f"{name}= stands there twice")
    return spf_terms


def _term(text: str) -> Term:
    if modifier := _MODIFIER.fullmatch(text):
        name, value = modifier[1].lower(), modifier[2]
        if name == "redirect" and not value:
            raise SpfSyntaxError("redirect= names no domain")
        return Term(text, "", name, value)
    match = _MECHANISM.fullmatch(text)
    if match is None:
        raise SpfSyntaxError(f"{text!r} is no term")
    qualifier, name, value, rest = match[1] or "+", match[2].lower(), match[3] or "", match[4]
    if name == "all" and not (value or rest or ":" in text):
        return Term(text, qualifier, name, "")
    if name in ("ip4", "ip6") and value:
        return Term(text, qualifier, name, value + rest)
    if name in ("a", "mx") or (name in _DOMAIN_ONLY and value) or name == "ptr":
        return _domain_term(text, qualifier, name, value, rest)
    raise SpfSyntaxError(f"{text!r} is no mechanism with the value that it needs")


def _domain_term(text: str, qualifier: str, name: str, value: str, rest: str) -> Term:
    lengths = _LENGTHS.fullmatch(rest)
    if lengths is None or (rest and name not in ("a", "mx")) or text.endswith(":"):
        raise SpfSyntaxError(f"{text!r} has a malformed domain or prefix length")
    v4, v6 = int(lengths[1] or 32), int(lengths[2] or 128)
    if v4 > 32 or v6 > 128:
        raise SpfSyntaxError(f"{text!r} has a prefix length that is too large")
    return Term(text, qualifier, name, value, v4, v6)


def has_macro(value: str) -> bool:
    """Whether a domain depends on the mail."""
    return "%" in value


def expand(value: str, letters: Mapping[str, str]) -> str:
    """A domain with its macros expanded (§7.3); `letters` gives each macro letter its value."""
    at, parts = 0, []
    for match in _MACRO.finditer(value):
        parts += [value[at : match.start()], _expanded(match, letters)]
        at = match.end()
    parts.append(value[at:])
    if any("%" in part for part in parts[::2]):
        raise SpfSyntaxError(f"{value!r} holds a malformed macro")
    name = "".join(parts).removesuffix(".")
    while len(name) > 253:  # §7.3: labels are dropped from the left
        name = name.partition(".")[2]
    return name


def _expanded(match: re.Match[str], letters: Mapping[str, str]) -> str:
    if match[5]:
        return _PLAIN[match[5]]
    letter, digits, backwards, delimiters = match[1], match[2], match[3], match[4]
    if letter.lower() not in letters or digits == "0":
        raise SpfSyntaxError(f"{match[0]!r} is no macro")
    labels = re.split(f"[{re.escape(delimiters or '.')}]", letters[letter.lower()])
    if backwards:
        labels.reverse()
    text = ".".join(labels[-int(digits) :] if digits else labels)
    return quote(text, safe="-._~") if letter.isupper() else text
