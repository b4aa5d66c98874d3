"""The authoritative servers of a zone, as a resolver finds them, and asking them directly."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.exception import DNSException, Timeout

from mailfleet.records.rrset import from_rdata

_TIMEOUT = 3.0
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True)
class Authority:
    """One address of one name server."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} [{self.address}]"


def authorities(
    zone: str, resolver: dns.resolver.Resolver
) -> tuple[list[Authority], list[tuple[str, str]]]:
    """The servers that answer for `zone`, and problem and remedy for each that does not.

    A server's IPv6 address is left out where this machine has no IPv6.
    """
    try:
        names = sorted(
            from_rdata(rdata).rstrip(".") for rdata in resolver.resolve(f"{zone}.", "NS")
        )
    except DNSException as error:
        remedy = "delegate the zone to its name servers at the registrar or in the parent zone"
        return [], [(f"its name servers cannot be found: {error}", remedy)]
    found, problems = [], []
    for name in names:
        addresses = _addresses(name, resolver)
        if not addresses:
            problems.append((f"its name server {name} has no address", "correct the NS record"))
        for address in addresses:
            server = Authority(name, address)
            try:
                fault = _fault(zone, server)
            except OSError as error:
                if error.errno in _UNREACHABLE and ":" in address:
                    continue
                fault = str(error)
            except DNSException as error:
                fault = str(error)
            if fault:
                remedy = "repair that server, or remove it from the NS records"
                problems.append((f"name server {server} is of no use: {fault}", remedy))
            else:
                found.append(server)
    return found, problems


def ask(server: Authority, name: str, rtype: str) -> list[str]:
    """The canonical values that a server gives; empty where it has none."""
    answer = _query(server, name, rtype)
    kind = dns.rdatatype.from_text(rtype)
    return [from_rdata(r) for rrset in answer.answer if rrset.rdtype == kind for r in rrset]


def _fault(zone: str, server: Authority) -> str:
    answer = _query(server, zone, "SOA")
    if answer.rcode() != dns.rcode.NOERROR:
        return f"it answers {dns.rcode.to_text(answer.rcode())}"
    return "" if answer.flags & dns.flags.AA else "it is not authoritative for the zone"


def _query(server: Authority, name: str, rtype: str) -> dns.message.Message:
    query = dns.message.make_query(f"{name}.", rtype)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, server.address, timeout=_TIMEOUT)
    except Timeout:
        # One datagram may get lost.
        answer, _ = dns.query.udp_with_fallback(query, server.address, timeout=_TIMEOUT)
    return answer


def _addresses(name: str, resolver: dns.resolver.Resolver) -> list[str]:
    found: list[str] = []
    for rtype in ("A", "AAAA"):
        try:
            found += [from_rdata(rdata) for rdata in resolver.resolve(f"{name}.", rtype)]
        except DNSException:
            continue
    return found
