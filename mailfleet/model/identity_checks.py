"""The checks of streams and domains against each other and against the hosts that serve them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.fleet import Domain, Fleet, Host, Stream
from mailfleet.model.limit_checks import MOST_DOMAIN_NAME
from mailfleet.model.names import is_within
from mailfleet.model.provider import ProviderSettings, Rfc2136Settings
from mailfleet.model.secret_names import variable

# What else listens on a mail host: RFC 5321 §2.1, RFC 8555 §8.3, RFC 8461 §3.3.
RESERVED_PORTS = {
    25: "bounces and reports",
    80: "certificate challenges",
    443: "the MTA-STS policy",
}


def contradictions(fleet: Fleet, paths: Mapping[str, str]) -> list[Problem]:
    """What two places say differently; holds however little of the fleet could be read."""
    return [
        *_duplicate_streams(fleet, paths),
        *_domains(fleet, paths),
        *_zones(fleet, paths),
        *_duplicate_selectors(fleet),
        *_shared_secrets(fleet, paths),
    ]


def omissions(fleet: Fleet) -> list[Problem]:
    """What one place needs and no other has; only where everything could be read."""
    return [*_unknown_streams(fleet)]


def _duplicate_streams(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    seen: dict[str, Stream] = {}
    logins: dict[str, Stream] = {}
    for stream in fleet.streams:
        other = seen.setdefault(stream.name, stream)
        if other is not stream:
            text = f"is already a stream of {other.domain}; stream names are unique in a fleet"
            yield Problem(paths[stream.domain], f"streams.{stream.name}", text)
        for login in stream.logins:
            owner = logins.setdefault(login, stream)
            if owner is not stream:
                text = (
                    f"login {login!r} already belongs to stream {owner.name}; one login, one stream"
                )
                yield Problem(paths[stream.domain], f"streams.{stream.name}.logins", text)


def _domains(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    for domain in fleet.domains:
        path = paths[domain.name]
        for name in domain.mx or ():
            if use := _use_of(fleet, name):
                text = f"{name} is {use}, which would refuse the mail; leave mx out, and the fleet takes it"
                yield Problem(path, "mx", text)
        if not is_within(domain.name, domain.zone):
            text = (
                f"{domain.zone} is neither {domain.name} nor a parent of it; name the zone it is in"
            )
            yield Problem(path, "dns.zone", text)
        for stream in domain.streams:
            yield from (
                Problem(path, f"streams.{stream.name}{key}", text)
                for key, text in _stream(domain, stream)
            )


def _use_of(fleet: Fleet, name: str) -> str:
    """What of this fleet a name leads to; empty where nothing that is known here."""
    if any(name in host.names for host in fleet.hosts):
        return "a host of this fleet"
    for stream in fleet.streams:
        regions = (stream.regional_endpoint(region.name) for region in fleet.regions)
        if name == stream.endpoint or name in regions:
            return f"the endpoint of stream {stream.name}"
    if any(name in domain.policy_hosts for domain in fleet.domains):
        return "the name that serves an MTA-STS policy of this fleet"
    return ""


def _stream(domain: Domain, stream: Stream) -> Iterator[tuple[str, str]]:
    if stream.tls_port == stream.starttls_port:
        yield "", "tls_port and starttls_port are the same; change one"
    for key, port in (("tls_port", stream.tls_port), ("starttls_port", stream.starttls_port)):
        if use := RESERVED_PORTS.get(port):
            yield f".{key}", f"port {port} serves {use}; set another, e.g. 465, 587, 2465 or 2587"
    if not is_within(stream.from_domain, domain.name):
        text = f"is outside {domain.name}; declare the stream in dns/{stream.from_domain}.toml"
        yield ".from_domain", f"{stream.from_domain} {text}"
    if not is_within(stream.return_path, domain.name):
        text = (
            f"{stream.return_path} is outside {domain.name}, so SPF could not align with "
            f"From (RFC 9989 §5.1); use e.g. bounce.{stream.from_domain}"
        )
        yield ".return_path", text
    for key, name in (("from_domain", stream.from_domain), ("return_path", stream.return_path)):
        if len(name) > MOST_DOMAIN_NAME:
            text = "is too long for the DKIM and DMARC names below it; use one of 192 characters"
            yield f".{key}", f"{name} {text}"


def _zones(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    seen: dict[str, tuple[Domain, ProviderSettings]] = {}
    for domain in fleet.domains:
        other, settings = seen.setdefault(domain.zone, (domain, domain.dns))
        if settings != domain.dns:
            text = (
                f"differs from [dns] of {paths[other.name]}, though both name the zone "
                f"{domain.zone}; one zone has one provider"
            )
            yield Problem(paths[domain.name], "dns", text)


def zones_to_name(fleet: Fleet, silent: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Domains whose files say nothing of DNS, though another file's zone seems to hold them.

    Without a word they would count as zones of their own that somebody keeps by hand.
    """
    quiet = set(silent)
    for domain in fleet.domains:
        if domain.name not in quiet:
            continue
        for other in fleet.domains:
            zone = other.zone
            if other.name not in quiet and domain.name != zone and is_within(domain.name, zone):
                yield (
                    domain.name,
                    f"is missing, and the domain lies in the zone {zone}: add the [dns] of "
                    f'{other.name} with zone = "{zone}"; or provider = "manual", if it is a zone '
                    "of its own that is kept by hand",
                )
                break


def _duplicate_selectors(fleet: Fleet) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Host] = {}
    known = {stream.name for stream in fleet.streams}
    for host in fleet.hosts:
        if not all(sending.stream in known for sending in host.sending):
            continue
        for from_domain in fleet.signing_domains(host):
            selector = fleet.selector(host, from_domain)
            other = seen.setdefault((selector, from_domain), host)
            if other.name != host.name:
                text = (
                    f"DKIM selector {selector} of {from_domain} is already that of {other.name}; "
                    "set another selector"
                )
                yield Problem(fleet.source, f"host {host.name}: selector", text)


def _shared_secrets(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    seen: dict[str, tuple[str, str]] = {}
    for file, table, dns in _settings(fleet, paths):
        if not isinstance(dns, Rfc2136Settings):
            continue
        name = variable(f"tsig-{dns.key}")
        key, other_file = seen.setdefault(name, (dns.key, file))
        if key != dns.key:
            text = (
                f"the key {dns.key!r} has its secret in {name}, and so has the key {key!r} of "
                f"{other_file}; rename one of the keys at its name server and here"
            )
            yield Problem(file, f"{table}.key", text)


def _unknown_streams(fleet: Fleet) -> Iterator[Problem]:
    known = [stream.name for stream in fleet.streams]
    for host in fleet.hosts:
        for sending in host.sending:
            if sending.stream not in known:
                text = (
                    f"no domain of this fleet declares the stream; known are {_list(known)}. "
                    f"Add [streams.{sending.stream}] to a domain file"
                )
                yield Problem(fleet.source, f"host {host.name}: streams.{sending.stream}", text)


def _settings(
    fleet: Fleet, paths: Mapping[str, str]
) -> Iterator[tuple[str, str, ProviderSettings]]:
    """Every provider that the fleet names, with the file and table that name it."""
    for domain in fleet.domains:
        yield paths[domain.name], "dns", domain.dns
    for settings in dict.fromkeys(host.reverse_dns for host in fleet.hosts):
        if settings is not None:
            yield fleet.source, "reverse_dns", settings


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
