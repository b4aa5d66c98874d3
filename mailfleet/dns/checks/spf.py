"""SPF as a receiver evaluates it: every sending address passes, a stranger does not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

from mailfleet.dns.checks.finding import UNKNOWN, Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.spf import senders
from mailfleet.dns.spf import budget
from mailfleet.dns.spf.check_host import Judgement, check_host
from mailfleet.model import Address

# RFC 6890: addresses from which no mail can come, so nobody may have authorised them.
STRANGERS: tuple[Address, ...] = (ip_address("240.0.0.1"), ip_address("100::1"))


def tasks(scope: Scope) -> Iterator[Task]:
    """For each sender the addresses, the strangers and the costs; for each HELO name its own."""
    for resolver in scope.resolvers:
        for name, addresses in senders(scope.fleet).items():
            if scope.includes(name):
                yield partial(_costs, name, resolver)
                for address in addresses:
                    yield partial(_passes, scope, name, address, resolver)
                for address in STRANGERS:
                    yield partial(_refused, scope, name, address, resolver)
        for host in scope.fleet.hosts:
            for sending in host.sending:
                if scope.includes(sending.helo):
                    for address in sending.addresses:
                        yield partial(_passes, scope, sending.helo, address, resolver)


def _passes(scope: Scope, name: str, address: Address, resolver: Resolver) -> Iterator[Finding]:
    judged = check_host(address, name, resolver)
    if judged.verdict != "pass":
        problem = f"SPF of {name} says {judged.verdict} at {resolver.label}: {judged.reason}"
        yield Finding(str(address), problem, _remedy(judged, scope.push))


def _refused(scope: Scope, name: str, address: Address, resolver: Resolver) -> Iterator[Finding]:
    judged = check_host(address, name, resolver)
    if judged.verdict not in ("fail", "softfail"):
        problem = f"SPF says {judged.verdict} to the stranger {address}: {judged.reason}"
        remedy = f"{scope.push}; if an include lets everybody in, remove it from the domain file"
        yield Finding(name, problem, _remedy(judged, remedy))


def _remedy(judged: Judgement, otherwise: str) -> str:
    """A record that could not be looked up says nothing of what is published."""
    return UNKNOWN if judged.verdict == "temperror" else otherwise


def _costs(name: str, resolver: Resolver) -> Iterator[Finding]:
    tree = budget.tree(name, resolver)
    for problem in budget.problems(tree):
        drawn = "; ".join(line.strip() for line in budget.drawn(tree))
        remedy = "shorten includes in [spf] of the domain file, and push"
        yield Finding(name, f"SPF {problem} ({drawn})", remedy)
