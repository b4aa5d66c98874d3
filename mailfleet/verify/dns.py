"""What every authoritative server says of a host's names, addresses and keys.

Asked directly: a resolver's cache may hold what is gone, or lack what is new.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address

import dns.resolver
from dns.exception import DNSException

from mailfleet.dns.query.authoritative import Authority, ask, authorities
from mailfleet.dns.records.dkim import DkimPublicKey
from mailfleet.dns.records.ptr import reverse_name
from mailfleet.dns.rrset import octets
from mailfleet.model import Fleet, Host
from mailfleet.project.environment import environment_of


def resolver_of(fleet: Fleet) -> dns.resolver.Resolver:
    """The resolver of the fleet's environment, else the machine's own."""
    addresses, _ = environment_of(fleet).resolvers()
    resolver = dns.resolver.Resolver(configure=not addresses)
    if addresses:
        resolver.nameservers = list(addresses)
    return resolver


class Names:
    """The authoritative servers behind DNS names, each zone looked up once."""

    def __init__(self, resolver: dns.resolver.Resolver) -> None:
        self._resolver = resolver
        self._servers = cache(self._find)

    def _find(self, zone: str) -> tuple[list[Authority], list[str]]:
        servers, problems = authorities(zone, self._resolver)
        return servers, [f"{zone}: {problem}" for problem, _ in problems]

    def answers(self, name: str, rtype: str) -> tuple[dict[Authority, list[str]], list[str]]:
        """The values that each server gives, and why some could not be asked."""
        try:
            zone = dns.resolver.zone_for_name(f"{name}.", resolver=self._resolver)
            servers, problems = self._servers(zone.to_text(omit_final_dot=True))
        except DNSException as error:
            return {}, [f"the zone of {name} cannot be found: {error}"]
        by_server = {}
        problems = list(problems)
        for server in servers:
            try:
                by_server[server] = ask(server, name, rtype, self._resolver)
            except (DNSException, OSError) as error:
                problems.append(f"{server} does not answer: {error}")
        if not by_server and not problems:
            problems.append(f"{name} has no authoritative server that can be asked")
        return by_server, problems


def address_problems(names: Names, host: Host) -> list[str]:
    """Addresses whose PTR record is not their name, or whose name does not lead back to them."""
    problems = []
    for address, name in host.reverse_names.items():
        reverse_names, unanswered = names.answers(reverse_name(address), "PTR")
        problems += unanswered
        for server, values in reverse_names.items():
            if values != [f"{name}."]:
                shown = ", ".join(values) or "no PTR record"
                problems.append(f"{address} has {shown} at {server}, expected PTR {name}.")
        forward, unanswered = names.answers(name, "A" if address.version == 4 else "AAAA")
        problems += unanswered
        for server, values in forward.items():
            if address not in {ip_address(value) for value in values}:
                shown = ", ".join(values) or "no address"
                problems.append(f"{name} has {shown} at {server}, expected {address}")
    return list(dict.fromkeys(problems))


def key_problems(names: Names, keys: Iterable[DkimPublicKey]) -> list[str]:
    """Keys of a host that some authoritative server does not publish, or publishes otherwise."""
    problems = []
    for key in keys:
        answers, unanswered = names.answers(key.name, "TXT")
        problems += unanswered
        for server, values in answers.items():
            published = [_public_half(value) for value in values]
            if published != [key.p]:
                shown = ", ".join(f"p={_short(p)}" for p in published) or "no TXT record"
                problems.append(
                    f"{key.name} has {shown} at {server}, expected the host's key p={_short(key.p)}"
                )
    return problems


def _public_half(value: str) -> str:
    """The p= tag of a key record (RFC 6376 §3.6.1)."""
    text = octets(value).decode("ascii", "replace")
    tags = dict(tag.partition("=")[::2] for tag in text.replace(" ", "").split(";"))
    return tags.get("p", "")


def _short(p: str) -> str:
    # Every key begins alike, with its type; the end tells them apart.
    return f"...{p[-12:]}" if len(p) > 12 else f"'{p}'"
