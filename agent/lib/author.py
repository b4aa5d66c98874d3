"""Who a From or Sender header names, decided so that no reader can see another. Pure.

RFC 5322 lets an address be written in ways that programs read differently: comments, escapes, routes,
groups. What DMARC and people judge is the reading of the receiver's program, which nobody knows. So
only forms that have one reading are taken: the grammar here, and the two parsers of Python's `email`,
which share no code, have to find the same single address. All else is refused with a reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from email import errors
from email.headerregistry import AddressHeader
from email.utils import getaddresses
from functools import lru_cache
from typing import Any

from agent.lib.encoded_words import is_malformed, readings

LOCAL_PART = 64  # octets (RFC 5321, section 4.5.3.1.1)
_LONGEST = 998  # octets of a whole From: nobody writes more, and parsers take long

# RFC 5322, section 3.2.3, and what RFC 6532 adds: everything beyond ASCII.
_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
# No comment within a comment, and nothing in one that could be part of an address.
_COMMENT = r'\([^()<>@\\"]*\)'
_LOCAL = rf'(?:[{_ATEXT}]+(?:\.[{_ATEXT}]+)*|"[^"\\@<>()]*")'
_ADDRESS = rf"{_LOCAL}@[A-Za-z0-9.-]+"
# A phrase as people write it: with full stops outside of quotes (RFC 5322, section 4.1). Octet by octet,
# so that there is one way to match: two nested repetitions would take exponential time.
_NAME = rf"(?:{_QUOTED}|{_COMMENT}|[{_ATEXT}. \t])*"
_MAILBOX = re.compile(
    rf"[ \t]*(?:(?P<name>{_NAME})<(?P<in_angles>{_ADDRESS})>|(?P<alone>{_ADDRESS}))"
    rf"[ \t]*(?:{_COMMENT}[ \t]*)?",
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


class RefusedError(Exception):
    """Why a message is not taken: an enhanced status code (RFC 3463) and a reason for its author."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _unfolded(value: bytes) -> str:
    """A header's value in one line. RefusedError where it is neither ASCII nor UTF-8 (RFC 6532)."""
    try:
        return _FOLD.sub("", value.decode("utf-8"))
    except UnicodeDecodeError:
        raise RefusedError(
            "5.6.7", "has 8-bit text that is not UTF-8: encode it (RFC 2047)"
        ) from None


_DOMAIN = re.compile(r'@([^][\s<>"\\,;:()@]*)')
"""What a reader who looks for an address anywhere takes for its domain."""


@lru_cache(4096)
def author(value: bytes, domains: frozenset[str], field: str = "From") -> str:
    """The one address that the `value` of the header `field` names, at one of `domains` (small letters).

    RefusedError for everything that is ambiguous, wrong or somebody else's.
    """
    try:
        text, address = _read(value)
        _check_address(text, address, domains)
        _check_readings(text, address)
    except RefusedError as refusal:
        raise RefusedError(refusal.code, f"{field} {refusal}") from None
    return address


def sole_address(value: bytes) -> str:
    """The one address that the From header's `value` names, wherever; RefusedError where it is ambiguous."""
    text, address = _read(value)
    _check_readings(text, address)
    return address


def _read(value: bytes) -> tuple[str, str]:
    """The text of a From header of the grammar, and its address."""
    if len(value) > _LONGEST:
        raise RefusedError("5.6.0", f"has more than {_LONGEST} octets")
    text = _unfolded(value)
    if _CONTROL.search(text):
        raise RefusedError("5.6.0", "has a control character")
    match = _MAILBOX.fullmatch(text)
    if match is None:
        raise RefusedError("5.6.0", _why(text))
    return text, match["in_angles"] or match["alone"]


def _check_address(text: str, address: str, domains: frozenset[str]) -> None:
    """RefusedError unless the address, and all that may be taken for one, is at one of `domains`."""
    local, _, domain = address.rpartition("@")
    if "=?" in local:
        raise RefusedError("5.6.0", "has an encoded word within its address (RFC 2047, section 5)")
    # With its comments, which some readers decode as well.
    _check_name(text, domains)
    if len(local.encode()) > LOCAL_PART:
        raise RefusedError("5.1.7", f"has a local part of more than {LOCAL_PART} octets")
    if domain.lower() not in domains:
        raise RefusedError("5.7.1", f"must be an address at {' or '.join(sorted(domains))}")


def _check_readings(text: str, address: str) -> None:
    """RefusedError unless both parsers find this address alone."""
    if _legacy(text) != [address] or _modern(text) != [address]:
        raise RefusedError("5.6.0", "can be read in more than one way: write it as Name <address>")


def _check_name(name: str, domains: frozenset[str]) -> None:
    for quoted in re.findall(_QUOTED, name):
        # Some readers take the first <...> that they see, and some stop at the first quotation mark.
        if not re.search(r"[<>\\]", quoted):
            continue
        if any(domain.lower() not in domains for domain in _DOMAIN.findall(quoted)):
            raise RefusedError("5.6.0", "has a foreign address in its quoted name")
    if is_malformed(name):
        raise RefusedError(
            "5.6.0", "has an encoded word whose base64 is none (RFC 2047, section 4.1)"
        )
    decoded = readings(name)
    for text in decoded:
        _check_decoded(name, text, domains)
    for character in {*"".join((name, *decoded))}:
        if not character.isascii() and {*unicodedata.normalize("NFKC", character)} & {*"@<>"}:
            raise RefusedError("5.6.0", f"has {character!r}, which some take for @, < or >")


def _check_decoded(written: str, text: str, domains: frozenset[str]) -> None:
    """RefusedError where encoded words bring an address, or make one of what stands beside them."""
    if _CONTROL.search(text):
        raise RefusedError("5.6.0", "has a control character in an encoded word")
    # Some readers decode first and look for the address then.
    occurrences = Counter(_DOMAIN.findall(text))
    if not any(text.count(mark) > written.count(mark) for mark in '<>"\\,;:()'):
        occurrences -= Counter(_DOMAIN.findall(written))
    if any(domain.lower() not in domains for domain in occurrences):
        raise RefusedError("5.6.0", "has a foreign address in an encoded word")


def _why(text: str) -> str:
    """What is wrong with a From header that is no mailbox of the grammar, most telling first."""
    # Comments can only be told once quoted text, which may have brackets, is gone.
    plain = re.sub(_COMMENT, "", re.sub(_QUOTED, "", text))
    if re.search(r"=\?[^?\s]*\?[qQ]\?[^?\s]*[(),:;<>@[\\\]\"]", text):
        return (
            'has a comma or one of ( ) < > @ ; : [ ] \\ " in an encoded word: encode it, a comma '
            "as =2C (RFC 2047, section 5)"
        )
    for pattern, reason in _WRONG:
        if re.search(pattern, plain):
            return reason
    if "(" in text:
        return _COMMENT_REASON
    return "is no address in the form of RFC 5322, section 3.4: write Name <address>"


_COMMENT_REASON = "has a comment that programs read differently: write Name <address> without it"
# What stands outside of quoted text and plain comments.
_WRONG = (
    ('"', "has a quotation mark without its partner"),
    (r"\\", "has a backslash outside of quotes"),
    (r"[()]", _COMMENT_REASON),
    (r"^[^@]*$", "has no address: write Name <local-part@domain>"),
    (r"<[^>]*[:,]", "has a source route, which is obsolete (RFC 5322, section 4.4)"),
    (r"[:;]", "is a group, or has : or ; outside of quotes: write one address"),
    (r"@.*@", 'has more than one address, or an @ in a name outside of "quotes"'),
    (",", 'has a comma: put the name into "quotes"'),
    (r"[][]", 'has a bracket: put the name into "quotes", and name no address literal'),
    (r"<.*<|>.*>|^[^<]*>|<[^>]*$", "has angle brackets that do not match"),
)


def _legacy(text: str) -> list[str]:
    """What Python's older parser finds (email.utils)."""
    return [address for _, address in getaddresses([text])]


def _modern(text: str) -> list[str] | None:
    """What Python's newer parser finds (email.headerregistry); None where it finds no way through."""
    parsed: dict[str, Any] = {"defects": []}
    try:
        AddressHeader.parse(text, parsed)
        boxes = [box for group in parsed["groups"] for box in group.addresses]
    except (errors.MessageError, IndexError, ValueError, TypeError, AttributeError):
        return None
    return [box.addr_spec for box in boxes]
