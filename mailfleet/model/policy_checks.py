"""The checks of what a domain publishes: policies that contradict each other or cannot work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.authorities import DIRECTORIES, ISSUER
from mailfleet.model.fleet import Domain, Fleet, Host
from mailfleet.model.provider import CloudflareSettings

Finding = tuple[str, str]
"""Key and text, within one domain file."""


def policy_contradictions(fleet: Fleet, paths: Mapping[str, str]) -> list[Problem]:
    """What a domain file says of its policies that cannot be true at once."""
    return [
        Problem(paths[domain.name], key, text)
        for domain in fleet.domains
        for check in (_parked, _postmaster, _dmarc, _revoked, _caa, _bimi, _proxied, _mta_sts)
        for key, text in check(fleet, domain)
    ]


def _parked(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    if domain.sends:
        return
    for stream in domain.streams:
        yield f"streams.{stream.name}", "the domain has sends = false; remove the stream, or sends"
    for host in fleet.hosts:
        owner = fleet.domain_of(host.name)
        if owner is not None and owner.name == domain.name:
            yield "sends", f"host {host.name} lies in the domain and sends bounces; remove sends"
    given = (
        ("mx", domain.mx is not None, "a domain that sends nothing takes no mail either"),
        ("spf.includes", bool(domain.spf.includes), "nobody else sends as the domain"),
        ("dkim.revoked", bool(domain.dkim.revoked), "it has no From domain whose key to revoke"),
        ("mta_sts", domain.mta_sts is not None, "there is no server that it could be about"),
        ("postmaster", domain.postmaster is not None, "it takes no mail"),
        ("bimi", domain.bimi is not None, "there is no mail to show a logo with"),
        ("dmarc.policy", domain.dmarc.policy != "reject", "a parked domain's policy is reject"),
    )
    for key, wrong, reason in given:
        if wrong:
            yield key, f"{reason}; remove it, or sends = false"


def _postmaster(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    name = (domain.postmaster or "").partition("@")[2]
    if any(name in host.names for host in fleet.hosts):
        yield (
            "postmaster",
            f"{name} is a host's own name, whose mail goes to postmaster again; name an address "
            "of a domain, or leave it out: the mail then stays in the domain's maildir",
        )


def _dmarc(_: Fleet, domain: Domain) -> Iterator[Finding]:
    dmarc = domain.dmarc
    policies = {dmarc.policy, dmarc.subdomain_policy, *dmarc.subdomains.values()}
    if dmarc.testing and policies == {"none"}:
        yield (
            "dmarc.testing",
            'with policy "none" there is nothing to test; set quarantine or reject',
        )
    below = [name for name in domain.from_domains if name != domain.name]
    for name in dmarc.subdomains:
        if name == domain.name:
            yield "dmarc.subdomains", f"{name} is the domain itself; write dmarc.policy"
        elif name not in below:
            known = ", ".join(below) or "none"
            yield "dmarc.subdomains", f"{name} is no From domain of this file; known are {known}"


def _revoked(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    known = {stream.name for stream in fleet.streams}
    for host in fleet.hosts:
        if not all(sending.stream in known for sending in host.sending):
            continue
        for name in fleet.signing_domains(host):
            selector = fleet.selector(host, name)
            if name in domain.from_domains and selector in domain.dkim.revoked:
                text = f"{host.name} signs with {selector}; set a new period, deploy and push first"
                yield "dkim.revoked", text


def _caa(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    """Records that forbid the fleet's own certificates (RFC 8659 §5.1)."""
    caa = domain.caa
    if caa is None:
        return
    if not fleet.offers.own_authority and fleet.acme in DIRECTORIES and ISSUER not in caa.issuers:
        yield (
            "caa.issuers",
            f"forbids the certificates of the hosts, which {ISSUER} issues; add it, or set acme "
            f"in {fleet.source}",
        )
    if not caa.account_uri:
        return
    if len(caa.issuers) > 1:
        yield "caa.account_uri", "an account belongs to one issuer; name one in issuers"
    hosts = [host.name for host in fleet.hosts if _is_served_by(domain, host, fleet)]
    if len(hosts) > 1:
        yield (
            "caa.account_uri",
            f"names one account, and each of {', '.join(hosts)} has its own; remove it",
        )


def _is_served_by(domain: Domain, host: Host, fleet: Fleet) -> bool:
    """Whether the host's certificate has a name in the domain."""
    owner = fleet.domain_of(host.name)
    own = owner is not None and owner.name == domain.name
    streams = {stream.name for stream in domain.streams}
    sends = any(sending.stream in streams for sending in host.sending)
    return own or sends or (domain.mta_sts is not None and host.inbound)


def _bimi(_: Fleet, domain: Domain) -> Iterator[Finding]:
    if domain.bimi is None or not domain.sends:
        return
    dmarc = domain.dmarc
    if "none" in (dmarc.policy, dmarc.subdomain_policy, *dmarc.subdomains.values()):
        text = 'logos are shown with policy "quarantine" or "reject" only, subdomains included'
        yield "bimi", f"{text}; raise the policies of [dmarc], or remove it"
    if dmarc.testing:
        yield "bimi", "logos are not shown while dmarc.testing is true; remove one of the two"


def _proxied(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    """Cloudflare's proxy passes HTTP and nothing else."""
    known = {stream.name for stream in fleet.streams}
    dns = domain.dns
    for name in dns.proxied if isinstance(dns, CloudflareSettings) else ():
        for host in fleet.hosts:
            whole = all(sending.stream in known for sending in host.sending)
            if name in host.names or (whole and name in fleet.endpoints(host)):
                yield (
                    "dns.proxied",
                    f"mail comes in and goes out by {name}; remove it from the list",
                )
                break


def _mta_sts(fleet: Fleet, domain: Domain) -> Iterator[Finding]:
    """Under an enforced policy nobody delivers to a server whose certificate is not trusted, nor does
    anybody see the policy change: it is fetched by HTTPS, and kept for weeks (RFC 8461 §5).
    """
    if not fleet.offers.own_authority and fleet.acme == "staging" and domain.mta_sts is not None:
        if domain.mta_sts.mode == "enforce":
            yield (
                "mta_sts.mode",
                "enforces certificates that everybody trusts, and those of the staging authority are "
                'not trusted, so no mail would come in; set acme="production" in '
                f'{fleet.source}, or mode = "testing" until then',
            )
