"""Asking a resolver: what names mean to the world, and whether the answers were validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.exception import DNSException

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.rrset import from_rdata
from mailfleet.model import Fleet
from mailfleet.model.addresses import parse_address
from mailfleet.project.environment import environment_of

_TIMEOUT = 3.0
_TRIES = 2


@dataclass(frozen=True)
class Answer:
    """What a resolver says of a name and type."""

    values: tuple[str, ...]
    authentic: bool = False
    """Whether the resolver has validated the answer (RFC 4035 §3.2.3, the AD bit)."""


class Resolver:
    """One resolver, or this machine's own; each question is asked once.

    Calling it makes it a `mailfleet.dns.lookup.Lookup`. Safe to use from several threads.
    """

    def __init__(self, addresses: Sequence[str] = (), label: str = "") -> None:
        self.dnspython = dns.resolver.Resolver(configure=not addresses)
        if addresses:
            self.dnspython.nameservers = list(addresses)
        # DO, so that a validating resolver says that it has validated.
        self.dnspython.use_edns(0, dns.flags.DO, 1232)
        self.dnspython.lifetime = _TRIES * _TIMEOUT
        self.dnspython.timeout = _TIMEOUT
        self.label = label or ", ".join(map(str, self.dnspython.nameservers))
        self._known: dict[tuple[str, str], Answer | LookupFailedError] = {}
        self._lock = Lock()
        self._silent = False

    def __call__(self, name: str, rtype: str) -> tuple[str, ...]:
        return self.ask(name, rtype).values

    def ask(self, name: str, rtype: str) -> Answer:
        """The answer; LookupFailedError where there is none to be had."""
        key = name.lower().rstrip("."), rtype
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = self._asked(*key)
            with self._lock:
                self._known[key] = known
        if isinstance(known, LookupFailedError):
            raise known
        return known

    def _asked(self, name: str, rtype: str) -> Answer | LookupFailedError:
        if self._silent:
            return self._unanswered(name, rtype, "it answers nothing")
        try:
            answer = self.dnspython.resolve(f"{name}.", rtype, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return Answer(())
        except dns.exception.Timeout as error:
            # Thousands of questions to a dead resolver would take hours.
            self._silent = self._rcode(".", 0) is None
            return self._unanswered(name, rtype, str(error))
        except (DNSException, OSError) as error:
            return self._unanswered(name, rtype, str(error))
        values = tuple(sorted(map(from_rdata, answer.rrset))) if answer.rrset else ()
        return Answer(values, bool(answer.response.flags & dns.flags.AD))

    def _unanswered(self, name: str, rtype: str, why: str) -> LookupFailedError:
        return LookupFailedError(
            f"{name} {rtype} cannot be looked up at {self.label}: {why}",
            "see whether the resolver is reachable and the zone's DNSSEC chain is whole",
        )

    def is_bogus(self, zone: str) -> bool:
        """Whether the zone's signatures are what keeps the resolver from answering."""
        unchecked = self._rcode(zone, dns.flags.CD)
        return unchecked == dns.rcode.NOERROR and self._rcode(zone, 0) == dns.rcode.SERVFAIL

    def _rcode(self, zone: str, flags: int) -> dns.rcode.Rcode | None:
        query = dns.message.make_query(dns.name.from_text(zone), "SOA", want_dnssec=True)
        query.flags |= flags
        try:
            answer, _ = dns.query.udp_with_fallback(
                query, str(self.dnspython.nameservers[0]), timeout=_TIMEOUT
            )
        except (DNSException, OSError):
            return None
        return answer.rcode()


def resolver_of(fleet: Fleet, address: str | None = None) -> Resolver:
    """The resolver at `address`, else that of the fleet's environment, else this machine's."""
    if address is not None:
        return Resolver([str(parse_address(address))])
    return Resolver(*environment_of(fleet).resolvers())
