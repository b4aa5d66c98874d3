"""DMARC records (RFC 9989 §4.7), written so that readers of RFC 7489 understand them as well."""

from __future__ import annotations

from urllib.parse import quote

from mailfleet.model import Dmarc, Domain, Fleet

# RFC 9990 §4: what a domain publishes to accept reports about another one.
AUTHORISATION = "v=DMARC1;"


def policy(dmarc: Dmarc, name: str, *, below: bool) -> str:
    """The record of a From domain. No pct, rf or ri: RFC 9989 removed them.

    `below` is for a name below the organisational domain: sp and np have no effect there.
    """
    tags = ["v=DMARC1", f"p={dmarc.subdomains.get(name, dmarc.policy)}"]
    if not below:
        tags += [f"sp={dmarc.subdomain_policy}", f"np={dmarc.nonexistent_policy}"]
    # "r", relaxed, is the default of both.
    tags += ["adkim=s"] if dmarc.strict_dkim else []
    tags += ["aspf=s"] if dmarc.strict_spf else []
    # Readers of RFC 7489 ignore what they do not know, and apply the policy as it stands.
    tags += ["t=y"] if dmarc.testing else []
    if dmarc.reports:
        tags.append("rua=" + ",".join(_uri(address) for address in dmarc.reports))
    return "; ".join(tags)


def policy_domains(domain: Domain) -> tuple[str, ...]:
    """Where a domain file's policy is published: its domain and each of its From domains."""
    return tuple(dict.fromkeys([domain.name, *domain.from_domains]))


def is_organisational(fleet: Fleet, domain: Domain, name: str) -> bool:
    """Whether a policy domain may be the top of its organisation (RFC 9989 §4.10.2).

    Only DNS knows; what lies below another name of the fleet or of its zone surely is not.
    """
    above = name.partition(".")[2]
    return name == domain.name == domain.zone and fleet.domain_of(above) is None


def authorisations(fleet: Fleet) -> tuple[str, ...]:
    """The names at which this fleet's domains accept reports about its other domains.

    Within one organisational domain none is needed (RFC 9990 §4). Two domain files of which one
    lies below the other share it; any other pair gets a record, which does no harm where it is not
    needed. Report addresses outside the fleet must be authorised by their own domain.
    """
    names = []
    for domain in fleet.domains:
        for address in domain.dmarc.reports:
            target = address.rpartition("@")[2]
            owner = fleet.domain_of(target)
            if owner is None or is_related(owner.name, domain.name):
                continue
            names += [f"{name}._report._dmarc.{target}" for name in policy_domains(domain)]
    return tuple(dict.fromkeys(names))


def report_domains(domain: Domain) -> tuple[str, ...]:
    """The domains that a domain file's reports go to, each once."""
    return tuple(dict.fromkeys(address.rpartition("@")[2] for address in domain.dmarc.reports))


def is_related(one: str, other: str) -> bool:
    """Whether one of two names lies within the other: surely one organisation."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _uri(address: str) -> str:
    local, _, domain = address.rpartition("@")
    # "," and "!" separate URIs and sizes in rua; ";" ends the tag.
    return "mailto:" + quote(local, safe="+.-_=~/'*$&") + "@" + domain
