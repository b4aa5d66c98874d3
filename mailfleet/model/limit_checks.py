"""What the kernel, services and authorities set limits to, and the names that must be distinct.

A name beyond such a limit would go live first, and fail on the host or at the authority then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.fleet import Domain, Fleet, Host

MOST_HOST_NAME = 64
"""HOST_NAME_MAX of Linux, gethostname(2); X.509's common names end there too (RFC 5280 App. A.1)."""
MOST_CERTIFICATE_NAMES = 100
"""What Let's Encrypt puts into one certificate (https://letsencrypt.org/docs/rate-limits/)."""
MOST_DOMAIN_NAME = 253 - 61
"""The longest name that is derived from one: a selector of 49 octets and `._domainkey.`."""


def name_limits(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    """Names that are too long, or that two things of the fleet would have."""
    for host in fleet.hosts:
        if len(host.name) > MOST_HOST_NAME:
            text = (
                f"its name has {len(host.name)} characters, and Linux takes {MOST_HOST_NAME} at "
                "most (hostname(7)); shorten it"
            )
            yield Problem(fleet.source, f"host {host.name}", text)
    for domain in fleet.domains:
        if len(domain.name) > MOST_DOMAIN_NAME:
            text = (
                f"{domain.name} is too long for the DMARC and endpoint names below it; "
                f"{MOST_DOMAIN_NAME} characters are the most"
            )
            yield Problem(paths[domain.name], "", text)
    yield from _two_uses(fleet)


def certificate_limits(fleet: Fleet) -> Iterator[Problem]:
    """Hosts for which no certificate could be had, since they have too many names."""
    for host in fleet.hosts:
        count = len(fleet.certificate_names(host))
        if count > MOST_CERTIFICATE_NAMES:
            text = (
                f"would need a certificate of {count} names, and {MOST_CERTIFICATE_NAMES} is the "
                "most; spread the streams over more hosts, or the domains with [mta_sts] over more "
                "fleets"
            )
            yield Problem(fleet.source, f"host {host.name}", text)


def _two_uses(fleet: Fleet) -> Iterator[Problem]:
    """Hosts called like a name whose records are other hosts' addresses too."""
    taken: dict[str, str] = {}
    for domain in fleet.domains:
        taken.update(_names_of(domain, fleet))
    for host in fleet.hosts:
        for name in host.names:
            if use := taken.get(name):
                yield Problem(fleet.source, f"host {host.name}", _also(host, name, use))


def _names_of(domain: Domain, fleet: Fleet) -> Iterator[tuple[str, str]]:
    for stream in domain.streams:
        yield stream.endpoint, f"the endpoint of stream {stream.name}"
        for region in fleet.regions:
            yield stream.regional_endpoint(region.name), f"an endpoint of stream {stream.name}"
        if stream.return_path != stream.from_domain:
            yield stream.return_path, f"the return path of stream {stream.name}"
    for name in domain.policy_hosts:
        yield name, "the server of an MTA-STS policy"


def _also(host: Host, name: str, use: str) -> str:
    which = "its name" if name == host.name else f"its HELO name {name}"
    return f"{which} is also {use}; call the host otherwise"
