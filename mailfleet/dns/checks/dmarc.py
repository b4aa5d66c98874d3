"""DMARC policies, and whether those who get the reports have agreed to it (RFC 9990 §4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records import dmarc
from mailfleet.dns.records.tags import tags
from mailfleet.dns.rrset import octets
from mailfleet.model import Domain


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each policy domain, and one for each foreign address that it sends reports to."""
    for domain in scope.fleet.domains:
        for name in dmarc.policy_domains(domain):
            if not scope.includes(name):
                continue
            for resolver in scope.resolvers:
                yield partial(_policy, scope, domain, name, resolver)
                for target in dmarc.report_domains(domain):
                    yield partial(_authorised, scope, name, target, resolver)


def _policy(scope: Scope, domain: Domain, name: str, resolver: Resolver) -> Iterator[Finding]:
    subject = f"_dmarc.{name}"
    contents = [octets(value) for value in resolver(subject, "TXT")]
    policies = [tags(content) for content in contents if content.startswith(b"v=DMARC1")]
    if len(policies) != 1:
        problem = "has no DMARC record" if not policies else f"has {len(policies)} DMARC records"
        yield Finding(subject, f"{problem} at {resolver.label}", scope.push)
        return
    wanted = domain.dmarc.subdomains.get(name, domain.dmarc.policy)
    if policies[0].get("p") != wanted:
        problem = f"says p={policies[0].get('p', '')}, not {wanted}, at {resolver.label}"
        yield Finding(subject, problem, scope.push)


def _authorised(scope: Scope, name: str, target: str, resolver: Resolver) -> Iterator[Finding]:
    if dmarc.is_related(name, target):
        return
    record = f"{name}._report._dmarc.{target}"
    contents = [octets(value) for value in resolver(record, "TXT")]
    if any(tags(content).get("v") == "DMARC1" for content in contents):
        return
    ours = scope.fleet.domain_of(target) is not None
    remedy = (
        scope.push
        if ours
        else f'ask {target} for the record: {record}. TXT "{dmarc.AUTHORISATION}", or report elsewhere'
    )
    problem = f"its reports go to {target}, which does not accept them at {resolver.label}"
    yield Finding(f"_dmarc.{name}", problem, remedy)
