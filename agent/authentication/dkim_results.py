"""What the DKIM signatures of a message are worth: dkimpy's verdict, and what it leaves to its callers.

A signature's header and a key come from strangers: both are bounded before any expression or power sees them.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

from agent.authentication.body_hash import BodyHash
from agent.authentication.dmarc import TemporaryError

_SIGNATURES = 8  # that are looked at, from the top
_LONGEST = 4_096  # octets of a signature's header; with a key of 4096 bits it has 1,500
_LONGEST_KEY = 2_048  # octets of a key's record; one of 4096 bits has 750
_BITS = 4_096
_EXPONENT_BITS = 64
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_LONGEST_NAME = 253
_SILENT = logging.getLogger("dkim.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

Header = tuple[bytes, bytes]
KeyLookup = Callable[[str], Sequence[bytes]]
"""The TXT values at a name; TemporaryError."""


@dataclass(frozen=True)
class Result:
    """One signature's result (RFC 8601, section 2.7.1)."""

    result: str
    reason: str = ""
    domain: str = ""
    selector: str = ""


class _UnusableError(Exception):
    """Why a signature is not judged by its key, or fails: a result and its reason."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


class Signature:
    """One DKIM-Signature of a message whose headers have all been seen."""

    def __init__(self, headers: Sequence[Header], number: int) -> None:
        """`headers` have CRLF within and at the end; `number` counts signatures from the top, from 0."""
        self.domain = self.selector = ""
        self.problem: _UnusableError | None = None
        try:
            self._read(headers, number)
        except _UnusableError as problem:
            self.problem = problem
        except (dkim.DKIMException, InvalidTagValueList, ValueError, LookupError):
            self.problem = _UnusableError("permerror", "the signature is malformed")

    def _read(self, headers: Sequence[Header], number: int) -> None:
        value = [value for name, value in headers if name.lower() == b"dkim-signature"][number]
        if len(value) > _LONGEST:
            raise _UnusableError("permerror", "the signature is too long")
        self._dkim = dkim.DKIM(logger=_SILENT)
        self._dkim.headers = [list(header) for header in headers]
        self._tags, self._names, self._fields = self._dkim.verify_headerprep(number)
        self._field = self._fields[number]
        domain, selector = (self._tags[tag].decode("ascii").lower() for tag in (b"d", b"s"))
        if not (is_name(domain) and is_name(selector)):
            raise _UnusableError("permerror", "the signature is malformed")
        self.domain, self.selector = domain, selector
        if b"from" not in self._names:
            raise _UnusableError("permerror", "From is not signed")
        if self._tags[b"a"] not in (b"rsa-sha256", b"ed25519-sha256"):
            raise _UnusableError("policy", "the algorithm is obsolete")  # RFC 8301, section 3.1
        self.body_form = (
            self._tags.get(b"c", b"simple").partition(b"/")[2].decode("ascii") or "simple"
        )

    def result(
        self, bodies: dict[str, BodyHash], digests: dict[str, bytes], keys: KeyLookup
    ) -> Result:
        """The signature's result."""
        try:
            if self.problem:
                raise self.problem
            self._check(bodies, digests, keys)
        except _UnusableError as problem:
            return Result(problem.result, problem.reason, self.domain, self.selector)
        except TemporaryError:
            return Result("temperror", "the key cannot be looked up", self.domain, self.selector)
        except Exception:  # noqa: BLE001 - dkimpy lets much through, and none of it is a pass
            return Result("permerror", "the signature is malformed", self.domain, self.selector)
        return Result("pass", "", self.domain, self.selector)

    def _check(
        self, bodies: dict[str, BodyHash], digests: dict[str, bytes], keys: KeyLookup
    ) -> None:
        if self.body_form not in bodies:
            raise _UnusableError("permerror", "the signature is malformed")
        # Keys first: a message may have been signed with one that is gone.
        record = self._key(keys)
        # Whoever likes may append to what a shorter l= covers (RFC 6376, section 8.2).
        if b"l" in self._tags and int(self._tags[b"l"]) != bodies[self.body_form].octets:
            raise _UnusableError("policy", "only a part of the body is signed")
        if base64.b64decode(b"".join(self._tags[b"bh"].split())) != digests[self.body_form]:
            raise _UnusableError("fail", "the body has changed")
        # Without it dkimpy leaves out the body, which was hashed here.
        tags = {tag: value for tag, value in self._tags.items() if tag != b"bh"}
        if not self._dkim.verify_sig(tags, self._names, self._field, lambda *_, **__: record):
            raise _UnusableError("fail", "the headers have changed")

    def _key(self, keys: KeyLookup) -> bytes:
        """The record of the key, of a size that can be computed with."""
        name = f"{self.selector}._domainkey.{self.domain}"
        records = [record for record in keys(name) if b"p=" in b"".join(record.split())]
        if not records:
            raise _UnusableError("permerror", "there is no such key")
        record = records[0]
        if len(record) > _LONGEST_KEY:
            raise _UnusableError("permerror", "the key is too large")
        tags = parse_tag_value(record)
        if not tags.get(b"p"):
            raise _UnusableError("permerror", "the key was revoked")  # RFC 6376, section 3.6.1
        key, bits, kind, _ = dkim.evaluate_pk(name.encode(), record)
        if key is None or kind != self._tags[b"a"].partition(b"-")[0] or not self._may_use(tags):
            raise _UnusableError("permerror", "the key is for something else")
        if kind == b"rsa":
            if bits < self._dkim.minkey:
                raise _UnusableError("policy", "the key is too short")  # RFC 8301, section 3.2
            if bits > _BITS or key["publicExponent"].bit_length() > _EXPONENT_BITS:
                raise _UnusableError("permerror", "the key is too large")
        return record

    def _may_use(self, tags: dict[bytes, bytes]) -> bool:
        """Whether the key of these tags is for this hash and this identity (RFC 6376, section 3.6.1)."""
        domain = self._tags[b"d"].lower()
        identity = self._tags.get(b"i", domain).lower().rpartition(b"@")[2]
        own = b"s" not in _list(tags.get(b"t", b"")) or identity == domain
        return own and b"sha256" in _list(tags.get(b"h", b"sha256"))


def _list(value: bytes) -> set[bytes]:
    return {word.strip() for word in value.split(b":")}


def signatures(headers: Sequence[Header]) -> list[Signature]:
    """The first signatures of a message."""
    count = sum(name.lower() == b"dkim-signature" for name, _ in headers)
    return [Signature(headers, number) for number in range(min(count, _SIGNATURES))]


def is_name(text: str) -> bool:
    """Whether it is a domain name that can stand in a result; small letters."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None
