"""Who a message is really from: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989), for one header.

pyspf and dkimpy judge. Whatever they or DNS cannot decide becomes `temperror`, `permerror` or `none`, never
`pass`, and all look-ups together take PATIENCE seconds at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.resolver
import spf

from agent.authentication import dmarc
from agent.authentication.body_hash import BodyHash
from agent.authentication.dkim_results import Header, Result, Signature, is_name, signatures
from agent.authentication.dmarc import Identifier, TemporaryError
from agent.lib.author import RefusedError, sole_address

# Seconds for the look-ups of each: a slow one must not take from the others.
_SPF, _DKIM, _DMARC = 4.0, 3.0, 3.0
PATIENCE = _SPF + _DKIM + _DMARC
# Fields and octets of a header that signatures are looked for in, as with spam (roles/filtering.py).
FIELDS, OCTETS = 500, 131_072
_SPF_RESULTS = ("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror")

Ask = Callable[[str, str, float], Sequence[Any]]
"""Name, type and seconds: the records, none where there are none; TemporaryError."""


def ask_resolver(resolver: dns.resolver.Resolver) -> Ask:
    """Look-ups by the resolver of the host."""

    def ask(name: str, kind: str, seconds: float) -> Sequence[Any]:
        if seconds <= 0:
            raise TemporaryError("no time is left")
        try:
            return list(resolver.resolve(f"{name.rstrip('.')}.", kind, lifetime=seconds))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as error:
            raise TemporaryError(str(error)) from None
        except (dns.exception.DNSException, UnicodeError):
            # A name that DNS cannot have.
            return []

    return ask


def install(ask: Ask) -> None:
    """Let pyspf look up as everything here does. It has a name for that (`DNSLookup`), for whole programs."""

    def lookup(name: str, kind: str, _strict: object, timeout: float) -> list[Any]:
        try:
            return [((name, kind), _plain(record, kind)) for record in ask(name, kind, timeout)]
        except TemporaryError as error:
            raise spf.TempError(f"DNS {error}") from None

    spf.DNSLookup = lookup


def _plain(record: Any, kind: str) -> Any:
    """A record in pyspf's form."""
    if kind == "MX":
        return record.preference, record.exchange
    if kind == "PTR":
        return record.target.to_text(True)
    if kind in ("A", "AAAA"):
        return record.address
    return list(record.strings)


@dataclass
class Arrival:
    """A message that comes in: who brings it, and what has been seen of it."""

    client: str = ""
    """Its IP address; empty where there is none."""
    helo: str = ""
    sender: str = ""
    """MAIL FROM without brackets; empty for a bounce."""
    headers: list[Header] = field(default_factory=list)
    """With CRLF within and at the end."""
    octets: int = 0
    signatures: list[Signature] | None = None
    bodies: dict[str, BodyHash] = field(default_factory=dict)

    def add_header(self, name: bytes, value: bytes) -> None:
        """Take a header; its lines end with LF, without the last one. What is too much is only counted."""
        self.octets += len(name) + len(value)
        if len(self.headers) <= FIELDS and self.octets <= OCTETS:
            self.headers.append((name, value.replace(b"\n", b"\r\n") + b"\r\n"))

    @property
    def is_too_large(self) -> bool:
        """Whether its header has more than signatures are looked for in."""
        return len(self.headers) > FIELDS or self.octets > OCTETS

    def add_body(self, piece: bytes) -> None:
        """Take a piece of the body, after all headers."""
        self.end_headers()
        for body in self.bodies.values():
            body.update(piece)

    def end_headers(self) -> None:
        """All headers have been seen: from now on the signatures' forms of the body are hashed."""
        if self.signatures is None:
            self.signatures = [] if self.is_too_large else signatures(self.headers)
            forms = {signature.body_form for signature in self.signatures if not signature.problem}
            self.bodies = {form: BodyHash(form) for form in forms & {"simple", "relaxed"}}

    def results(self, host: str, ask: Ask) -> str:
        """The value of Authentication-Results (RFC 8601) with `host` as authserv-id; lines end with LF."""
        self.end_headers()
        sender = _Domain.of(self)
        spf_result = _spf(self, sender)
        keys = self._dkim(ask)
        lines = [f"{host}", f"spf={spf_result}{sender.property}"]
        lines += [_line(result) for result in keys]
        identifiers = [Identifier("spf", sender.name, spf_result)] if sender.name else []
        identifiers += [
            Identifier("dkim", result.domain, result.result) for result in keys if result.domain
        ]
        lines.append(self._dmarc(identifiers, ask))
        return ";\n\t".join(lines)

    def _dkim(self, ask: Ask) -> list[Result]:
        if self.is_too_large:
            return [Result("policy", "the header is too large")]
        left = _deadline(_DKIM)
        digests = {form: body.digest() for form, body in self.bodies.items()}
        results = [
            signature.result(self.bodies, digests, lambda name: _texts(ask(name, "TXT", left())))
            for signature in self.signatures or []
        ]
        return results or [Result("none")]

    def _dmarc(self, identifiers: list[Identifier], ask: Ask) -> str:
        values = [value for name, value in self.headers if name.lower() == b"from"]
        try:
            if len(values) != 1 or self.is_too_large:
                raise RefusedError("", "")
            author = sole_address(values[0].rstrip(b"\r\n")).rpartition("@")[2].lower()
            if not is_name(author):
                raise RefusedError("", "")
        except RefusedError:
            return 'dmarc=permerror reason="From names no single address"'
        left = _deadline(_DMARC)

        def lookup(name: str) -> list[str]:
            return [text.decode("latin-1") for text in _texts(ask(name, "TXT", left()))]

        return f"dmarc={dmarc.evaluate(author, identifiers, lookup)} header.from={author}"


@dataclass(frozen=True)
class _Domain:
    """Whose SPF policy it is: MAIL FROM's domain, or the HELO name's for a bounce (RFC 7208, section 2.4)."""

    name: str
    """Empty where it cannot be a domain's."""
    kind: str

    @classmethod
    def of(cls, arrival: Arrival) -> _Domain:
        kind = "mailfrom" if arrival.sender else "helo"
        name = (arrival.sender.rpartition("@")[2] if arrival.sender else arrival.helo).lower()
        # A host name alone has no policy, and an address literal is none.
        return cls(name if is_name(name) and "." in name else "", kind)

    @property
    def property(self) -> str:
        return f" smtp.{self.kind}={self.name}" if self.name else ""


def _spf(arrival: Arrival, sender: _Domain) -> str:
    if not (sender.name and arrival.client):
        return "none"
    try:
        local = arrival.sender.rpartition("@")[0]
        # pyspf takes the first @ for that of the domain. An empty sender stands for the HELO name.
        address = f"{local.replace('@', '=')}@{sender.name}" if arrival.sender else ""
        query = spf.query(i=arrival.client, s=address, h=arrival.helo, querytime=_SPF)
        result = query.check()[0]
    except Exception:  # noqa: BLE001 - a name or record that pyspf cannot take
        return "permerror"
    return result if result in _SPF_RESULTS else "permerror"


def _line(result: Result) -> str:
    reason = f' reason="{result.reason}"' if result.reason else ""
    domain = f" header.d={result.domain}" if result.domain else ""
    selector = f" header.s={result.selector}" if result.selector else ""
    return f"dkim={result.result}{reason}{domain}{selector}"


def _texts(records: Sequence[Any]) -> list[bytes]:
    return [b"".join(record.strings) for record in records]


def _deadline(seconds: float) -> Callable[[], float]:
    """How many seconds are left."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()
