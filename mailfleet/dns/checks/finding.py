"""What a check says, and what it may ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dns.resolver

from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.desired import Desired
from mailfleet.dns.records.dkim import HostDkimKeys
from mailfleet.model import Fleet

UNKNOWN = "see whether the resolver and the name servers can be reached from here, then check again"
"""The remedy where nothing is known."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong, and what to do about it."""

    subject: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}; {self.remedy}"


Task = Callable[[], Iterable[Finding]]
"""One thing to look at; it may wait for a name server."""


@dataclass(frozen=True)
class Scope:
    """What to check: a fleet, the records that it should have, and whom to ask."""

    fleet: Fleet
    desired: Desired
    keys: Mapping[str, HostDkimKeys]
    resolvers: Collection[Resolver]
    """At least one; the first finds the authoritative servers."""
    domain: str | None = None
    """The only domain file to check; None: all."""
    certificates: Certificates = field(default_factory=dict)
    signed: Collection[str] = ()
    """The zones that DNSSEC protects, in which TLSA records count."""

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """Who finds the authoritative servers."""
        return next(iter(self.resolvers)).dnspython

    @property
    def push(self) -> str:
        """The remedy for whatever this fleet publishes."""
        by_hand = sorted({d.zone for d in self.fleet.domains if d.dns.provider == "manual"})
        shown = f" (it lists what to enter by hand in {', '.join(by_hand)})" if by_hand else ""
        return f"publish it: mailfleet dns push {self.fleet.source}{shown}"

    def includes(self, name: str) -> bool:
        """Whether a name belongs to what is checked."""
        owner = self.fleet.domain_of(name)
        return self.domain is None or (owner is not None and owner.name == self.domain)


@dataclass
class Report:
    """All that was found."""

    checked: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    dnssec: Mapping[str, str] = field(default_factory=dict)
    """The state of each zone: secure, signed (but in no chain), unsigned or bogus."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "checked": self.checked,
            "findings": [vars(finding) for finding in self.findings],
            "dnssec": dict(self.dnssec),
            "notes": list(self.notes),
        }
