"""The authoritative servers of a zone, as a resolver finds them, and asking them directly."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.exception import DNSException, Timeout

from mailfleet.dns.rrset import from_rdata

_TIMEOUT = 3.0
# Aliases that lead to each other end somewhere.
_MOST_ALIASES = 8
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
    servers, problems = [], []
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
                servers.append(server)
    return servers, problems


class UnansweredError(DNSException):
    """A server does not say what it has: nothing is known of the record."""

    def __init__(self, text: str) -> None:
        super().__init__(text)  # type: ignore[no-untyped-call]


def ask(
    server: Authority,
    name: str,
    rtype: str,
    resolver: dns.resolver.Resolver,
    depth: int = _MOST_ALIASES,
) -> list[str]:
    """The canonical values that a server gives; empty where it has none.

    Where it leaves the rest to other servers, those of an alias's target or of a zone below, all of
    them are asked, and what all have counts. DNSException or OSError where one does not answer.
    """
    answer = _query(server, name, rtype)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise UnansweredError(f"{server} answers {dns.rcode.to_text(answer.rcode())}")
    end = _end(answer)
    kind = dns.rdatatype.from_text(rtype)
    rdatas = [
        r for rrset in answer.answer if (rrset.name, rrset.rdtype) == (end, kind) for r in rrset
    ]
    authority = {rrset.rdtype for rrset in answer.authority}
    complete = dns.rdatatype.SOA in authority or answer.rcode() == dns.rcode.NXDOMAIN
    left = end != answer.question[0].name or dns.rdatatype.NS in authority
    if rdatas or complete or not left:
        return [from_rdata(rdata) for rdata in rdatas]
    if not depth:
        raise UnansweredError(f"the aliases of {name} lead nowhere")
    return _elsewhere(end.to_text(omit_final_dot=True), rtype, resolver, depth - 1)


def _elsewhere(name: str, rtype: str, resolver: dns.resolver.Resolver, depth: int) -> list[str]:
    zone = dns.resolver.zone_for_name(f"{name}.", resolver=resolver)
    servers, problems = authorities(zone.to_text(omit_final_dot=True), resolver)
    if not servers:
        raise UnansweredError(
            "; ".join(problem for problem, _ in problems) or f"{zone} has no server"
        )
    answers = [ask(server, name, rtype, resolver, depth) for server in servers]
    return sorted(set(answers[0]).intersection(*answers[1:]))


def _end(answer: dns.message.Message) -> dns.name.Name:
    """The name at which the aliases of an answer end."""
    name = answer.question[0].name
    aliases = {r.name: r[0].target for r in answer.answer if r.rdtype == dns.rdatatype.CNAME}
    for _ in range(len(aliases)):
        name = aliases.get(name, name)
    return name


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
    addresses: list[str] = []
    for rtype in ("A", "AAAA"):
        try:
            addresses += [from_rdata(rdata) for rdata in resolver.resolve(f"{name}.", rtype)]
        except DNSException:
            continue
    return addresses
