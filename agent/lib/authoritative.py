"""A name's records as its authoritative servers have them, each address of each server asked by itself.

This host's own resolver would remember what was there before. What a server that does not say means is the
same for every program: nothing is known of the record. It neither has the record nor lacks it.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

MOST_ALIASES = 8


class UnansweredError(Exception):
    """Nothing is known of a name, as the text says."""


class NoRouteError(UnansweredError):
    """This host cannot reach the server: one without IPv6 asks no IPv6 address."""


def servers(name: str, timeout: float) -> tuple[list[str], list[str]]:
    """Every address of every authoritative server of the zone that `name` lies in, and what is not known.

    The second are sentences about servers whose addresses the resolver could not tell. `timeout` is seconds
    for each of its look-ups. UnansweredError where not even the servers' names can be told.
    """
    resolver = dns.resolver.Resolver()
    resolver.lifetime = timeout
    addresses: list[str] = []
    unknown: list[str] = []
    try:
        zone = dns.resolver.zone_for_name(name, resolver=resolver)
        for record in resolver.resolve(zone, "NS"):
            for family in ("A", "AAAA"):
                try:
                    answer = resolver.resolve(record.target, family)
                except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                    continue
                except dns.exception.DNSException:
                    unknown.append(f"the resolver does not tell the addresses of {record.target}")
                    continue
                addresses += [address.address for address in answer]
    except dns.exception.Timeout:
        raise UnansweredError("the resolver of this host does not answer") from None
    except (dns.exception.DNSException, OSError) as error:
        reason = str(error) or type(error).__name__
        raise UnansweredError(f"its name servers cannot be found: {reason}") from None
    return addresses, unknown


def ask(server: str, name: str, kind: str, timeout: float) -> dns.message.Message:
    """What the server at an address says of a name: NOERROR or NXDOMAIN.

    NoRouteError, or UnansweredError where it is silent, refuses or fails.
    """
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, server, timeout=timeout)
    except OSError:
        raise NoRouteError("no route to it from here") from None
    except dns.exception.DNSException as error:
        reason = str(error) or type(error).__name__
        raise UnansweredError(f"name server {server} does not answer: {reason}") from None
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        reply = dns.rcode.to_text(answer.rcode())
        raise UnansweredError(f"name server {server} answers {reply}")
    return answer


def end_of_aliases(answer: dns.message.Message) -> dns.name.Name:
    """The name at which the aliases of an answer end."""
    name = answer.question[0].name
    aliases = {r.name: r[0].target for r in answer.answer if r.rdtype == dns.rdatatype.CNAME}
    for _ in range(len(aliases)):
        name = aliases.get(name, name)
    return name


def is_elsewhere(answer: dns.message.Message) -> bool:
    """Whether the server leaves the rest to others: of the target of an alias, or of a zone below."""
    authority = {rrset.rdtype for rrset in answer.authority}
    ends_here = dns.rdatatype.SOA in authority or answer.rcode() == dns.rcode.NXDOMAIN
    moved = end_of_aliases(answer) != answer.question[0].name
    return not ends_here and (moved or dns.rdatatype.NS in authority)
