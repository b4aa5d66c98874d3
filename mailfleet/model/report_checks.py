"""Addresses that reports go to: whether mail to them can arrive, as far as the files alone tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.fleet import Domain, Fleet

# RFC 9990 §4: `<policy domain>._report._dmarc.<domain of the address>` has to be a name.
_AUTHORISATION = "._report._dmarc."


def unreachable(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    """Report addresses at names of the fleet that nobody takes mail for.

    What other companies take, no file of ours tells.
    """
    for domain in fleet.domains:
        for key, addresses in (
            ("dmarc.reports", domain.dmarc.reports),
            ("tls_rpt.reports", domain.tls_reports),
        ):
            for address in addresses:
                yield from (
                    Problem(paths[domain.name], key, text)
                    for text in (*_silence(fleet, paths, address), *_too_long(domain, address))
                )
    if fleet.acme_contact is not None:
        for text in _silence(fleet, paths, fleet.acme_contact):
            yield Problem(fleet.source, "acme_contact", text)


def _silence(fleet: Fleet, paths: Mapping[str, str], address: str) -> Iterator[str]:
    name = address.rpartition("@")[2]
    owner = fleet.domain_of(name)
    if owner is None or name in owner.mail_names:
        return
    if not owner.sends:
        yield f"{address} cannot receive: {owner.name} is parked and takes no mail; name another"
    elif owner.mx is None or name != owner.name:
        known = [n for domain in fleet.domains for n in domain.mail_names]
        given = f" (e.g. {', '.join(known[:3])})" if known else ""
        servers = f", or name the servers of {name} with mx in {paths[owner.name]}"
        yield (
            f"{address} cannot receive: {name} is no From or return-path domain, so it has no MX of "
            f"this fleet; use an address at one that is{given}, or at another company's domain"
            f"{servers if name == owner.name else ''}"
        )


def _too_long(domain: Domain, address: str) -> Iterator[str]:
    name = address.rpartition("@")[2]
    longest = max((len(n) for n in (domain.name, *domain.from_domains)), default=0)
    if name != domain.name and longest + len(_AUTHORISATION) + len(name) > 253:
        yield (
            f"{address}: the name at which its domain would accept the reports "
            f"(<domain>{_AUTHORISATION}{name}) is longer than 253 characters; name another"
        )
