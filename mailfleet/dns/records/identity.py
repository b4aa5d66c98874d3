"""What a domain publishes about its mail beside SPF and DKIM: policies, reports, logo, issuers."""

from __future__ import annotations

from collections.abc import Iterator

from mailfleet.dns.records import dmarc, mta_sts, transport
from mailfleet.dns.records.mx import NULL_MX, mx_hosts
from mailfleet.dns.records.spf import PARKED
from mailfleet.dns.rrset import txt
from mailfleet.model import Bimi, Domain, Fleet

Entry = tuple[str, str, str]
"""Name, type and value."""


def identity(fleet: Fleet, domain: Domain) -> Iterator[Entry]:
    """Every such record of a domain file, its addresses excepted."""
    for name in dmarc.policy_domains(domain):
        below = not dmarc.is_organisational(fleet, domain, name)
        yield f"_dmarc.{name}", "TXT", txt(dmarc.policy(domain.dmarc, name, below=below))
    if not domain.sends:
        yield domain.name, "MX", NULL_MX
        yield domain.name, "TXT", txt(PARKED)
    for name, servers in mx_hosts(fleet, domain).items():
        if domain.mta_sts is not None:
            text = mta_sts.policy_text(domain.mta_sts, servers)
            yield f"_mta-sts.{name}", "TXT", txt(mta_sts.record(text))
        if domain.tls_reports:
            yield f"_smtp._tls.{name}", "TXT", txt(transport.tls_reports(domain.tls_reports))
    if domain.bimi is not None:
        for name in domain.from_domains:
            yield f"default._bimi.{name}", "TXT", txt(_bimi(domain.bimi))


def policies(domain: Domain, fleet: Fleet) -> dict[str, str]:
    """The MTA-STS policies of a domain file, by the names that serve them (RFC 8461 §3.3)."""
    if domain.mta_sts is None:
        return {}
    return {
        f"mta-sts.{name}": mta_sts.policy_text(domain.mta_sts, servers)
        for name, servers in mx_hosts(fleet, domain).items()
    }


def policy_hosts(domain: Domain, fleet: Fleet) -> list[str]:
    """The names under which the fleet serves MTA-STS policies of a domain file."""
    return list(policies(domain, fleet))


def issuers(fleet: Fleet) -> Iterator[Entry]:
    """CAA at every name that the fleet needs a certificate for.

    Not at the domain itself: there it would bind the certificates of everything below that is not
    this fleet's as well, its shop's for instance. A HELO name takes its host's (RFC 8659 §3).
    """
    names = [host.name for host in fleet.hosts]
    names += [name for host in fleet.hosts for name in fleet.endpoints(host)]
    names += [name for domain in fleet.domains for name in policy_hosts(domain, fleet)]
    for name in dict.fromkeys(names):
        domain = fleet.domain_of(name)
        if domain is not None and domain.caa is not None:
            for value in transport.caa(domain.caa):
                yield name, "CAA", value


def _bimi(bimi: Bimi) -> str:
    certificate = f"; a={bimi.certificate}" if bimi.certificate else ""
    return f"v=BIMI1; l={bimi.logo}{certificate}"
