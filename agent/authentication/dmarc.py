"""DMARC's verdict on a message (RFC 9989). Pure: whoever asks brings the look-ups.

Organizational domains are found by the tree walk of section 4.10, which needs no list of public suffixes: one
that a package brings is years old.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

_LABELS = 8  # a walk asks for so many names at most (section 4.10)
_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_POLICIES = ("none", "quarantine", "reject")


class TemporaryError(Exception):
    """DNS gives no answer for now."""


Lookup = Callable[[str], Sequence[str]]
"""The TXT values at a name, none where there is no such name; TemporaryError."""


@dataclass(frozen=True)
class Record:
    """What a domain's policy says about alignment (section 4.7)."""

    strict_dkim: bool = False
    strict_spf: bool = False
    public_suffix: str = "u"
    """`psd`: y, n or u."""
    applies: bool = True
    """Whether it has a policy, or reports to send: without both it is as if it were not there."""


@dataclass(frozen=True)
class Identifier:
    """A domain that SPF or DKIM has looked at, and what came of it."""

    method: str
    domain: str
    result: str


def parse(text: str) -> Record | None:
    """A TXT value as a policy; None where it is none of this version."""
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return Record(
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        public_suffix=tags.get("psd", "u").lower(),
        applies=tags.get("p", "").lower() in _POLICIES or "rua" in tags,
    )


def names(domain: str) -> Iterator[str]:
    """The domains that a tree walk asks about (section 4.10), from `domain` upwards."""
    labels = domain.split(".")
    yield domain
    rest = labels[1:] if len(labels) < _LABELS else labels[1 - _LABELS :]
    for start in range(len(rest)):
        yield ".".join(rest[start:])


def walk(domain: str, lookup: Lookup) -> dict[str, Record]:
    """The policies at `domain` and above it, in that order; several at one name are none."""
    policies: dict[str, Record] = {}
    for name in names(domain):
        records = [record for record in map(parse, lookup(f"_dmarc.{name}")) if record]
        if len(records) == 1:
            policies[name] = records[0]
            if records[0].public_suffix in ("y", "n"):
                break
    return policies


def organizational(domain: str, records: dict[str, Record]) -> str:
    """The organizational domain of `domain`, whose walk found `records` (section 4.10.2)."""
    for name, record in records.items():
        if record.public_suffix == "n":
            return name
        if record.public_suffix == "y" and name != domain:
            labels = domain.split(".")
            return ".".join(labels[-len(name.split(".")) - 1 :])
    return min(records, key=lambda name: name.count("."), default=domain)


def evaluate(author: str, identifiers: Iterable[Identifier], lookup: Lookup) -> str:
    """pass, fail, none or temperror (RFC 8601, section 2.7; RFC 9989, section 4.4) for From's domain."""
    try:
        records = walk(author, lookup)
    except TemporaryError:
        return "temperror"
    if not records:
        return "none"
    owner = organizational(author, records)
    # Its own, its organization's, or that of the public suffix (section 4.10.1).
    policy = records.get(author) or records.get(owner) or [*records.values()][-1]
    if not policy.applies:
        return "none"
    unknown = False
    for identifier in identifiers:
        strict = policy.strict_spf if identifier.method == "spf" else policy.strict_dkim
        if identifier.result not in ("pass", "temperror"):
            continue
        try:
            if not _is_aligned(author, owner, identifier.domain, lookup, strict=strict):
                continue
        except TemporaryError:
            unknown = True
            continue
        if identifier.result == "pass":
            return "pass"
        unknown = True
    return "temperror" if unknown else "fail"


def _is_aligned(author: str, owner: str, domain: str, lookup: Lookup, *, strict: bool) -> bool:
    if domain == author:
        return True
    if strict or not f".{domain}".endswith(f".{owner}"):
        return False
    return organizational(domain, walk(domain, lookup)) == owner
