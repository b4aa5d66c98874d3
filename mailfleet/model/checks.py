"""What must be true between machines and identities; every finding names the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.addresses import Address, is_documentation, is_public
from mailfleet.model.fleet import Domain, Fleet, Host, SendingAddress, Stream
from mailfleet.model.names import is_within


def cross_check(fleet: Fleet, paths: Mapping[str, str], *, complete: bool) -> list[Problem]:
    """Everything that is wrong between the parts of a fleet.

    `paths` maps each domain to its file. With `complete` false some tables could not be read, and
    the checks for things that are missing are left out, lest they blame the wrong place.
    """
    found = [
        *_duplicate_hosts(fleet),
        *_duplicate_addresses(fleet),
        *_unusable_addresses(fleet),
        *_duplicate_streams(fleet, paths),
        *_duplicate_ports(fleet),
        *_foreign_domains(fleet, paths),
        *_duplicate_selectors(fleet),
    ]
    if complete:
        found += [
            *_unknown_streams(fleet),
            *_streams_without_address(fleet, paths),
            *_hosts_outside_domains(fleet),
            *_missing_inbound(fleet),
            *_providers(fleet, paths),
        ]
    return found


def deploy_problems(fleet: Fleet) -> list[Problem]:
    """What forbids to connect to the hosts, though the fleet loads and plans: example addresses."""
    if fleet.lab is not None:
        return []
    return [
        Problem(
            fleet.source,
            f"host {host.name}",
            f"address {address} is reserved for documentation (RFC 5737, RFC 3849); "
            "put the server's real address before you deploy",
        )
        for host in fleet.hosts
        for address in host.all_addresses
        if is_documentation(address)
    ]


def _duplicate_hosts(fleet: Fleet) -> Iterator[Problem]:
    seen: dict[str, Host] = {}
    for host in fleet.hosts:
        other = seen.setdefault(host.name, host)
        if other is not host:
            text = f"is already a host of region {other.region}; a host stands in one region only"
            yield Problem(fleet.source, f"host {host.name}", text)


def _uses(host: Host) -> Iterator[tuple[Address, str]]:
    sending = {a: s for s in host.sending if s.shares is None for a in s.addresses}
    for address in host.addresses:
        if address not in sending:
            yield address, "own"
    for entry in host.sending:
        if entry.shares is None:
            for address in entry.addresses:
                yield address, entry.stream


def _duplicate_addresses(fleet: Fleet) -> Iterator[Problem]:
    seen: dict[Address, tuple[Host, str]] = {}
    for host in fleet.hosts:
        for address, use in _uses(host):
            if address in seen:
                other, its_use = seen[address]
                text = (
                    f"address {address} is already the {its_use} address of {other.name}; "
                    "give each host and stream an address of its own"
                )
                yield Problem(fleet.source, f"host {host.name}", text)
            seen.setdefault(address, (host, use))


def _unusable_addresses(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.hosts:
        for address in host.all_addresses:
            if not is_public(address) and not is_documentation(address):
                text = (
                    f"address {address} is not a public address, so no mailbox provider can see "
                    "mail come from it; give the address that the Internet sees"
                )
                yield Problem(fleet.source, f"host {host.name}", text)


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
                text = f"login {login!r} already belongs to stream {owner.name}; one login, one stream"
                yield Problem(paths[stream.domain], f"streams.{stream.name}.logins", text)


def _duplicate_ports(fleet: Fleet) -> Iterator[Problem]:
    known = {stream.name: stream for stream in fleet.streams}
    for host in fleet.hosts:
        taken: dict[tuple[str, int], SendingAddress] = {}
        for sending in host.sending:
            stream = known.get(sending.stream)
            if stream is None:
                continue
            for port in (stream.tls_port, stream.starttls_port):
                other = taken.setdefault((sending.shares or sending.stream, port), sending)
                if other is not sending:
                    text = (
                        f"port {port} of the shared address is already taken by stream "
                        f"{other.stream}; set tls_port and starttls_port of stream {stream.name}"
                    )
                    yield Problem(fleet.source, f"host {host.name}: streams.{stream.name}", text)


def _foreign_domains(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    for domain in fleet.domains:
        path = paths[domain.name]
        if not is_within(domain.name, domain.zone):
            text = f"{domain.zone} is not {domain.name} or a parent of it"
            yield Problem(path, "dns.zone", text)
        for stream in domain.streams:
            key = f"streams.{stream.name}"
            if stream.tls_port == stream.starttls_port:
                yield Problem(path, key, "tls_port and starttls_port are the same; change one")
            if not is_within(stream.from_domain, domain.name):
                text = (
                    f"{stream.from_domain} is outside {domain.name}; "
                    f"declare the stream in dns/{stream.from_domain}.toml"
                )
                yield Problem(path, f"{key}.from_domain", text)
            if not is_within(stream.return_path, domain.name):
                text = (
                    f"{stream.return_path} is outside {domain.name}, so SPF could not align with "
                    f"From (RFC 9989 §5.1); use e.g. bounce.{stream.from_domain}"
                )
                yield Problem(path, f"{key}.return_path", text)


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


def _streams_without_address(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    served = {sending.stream for host in fleet.hosts for sending in host.sending}
    for stream in fleet.streams:
        if stream.name not in served:
            text = f"has a sending address on no host of {fleet.source}; add it to a host's streams"
            yield Problem(paths[stream.domain], f"streams.{stream.name}", text)
    for host in fleet.hosts:
        for sending in host.sending:
            if not sending.addresses:
                text = "has no address; give an IPv4 and/or IPv6 address"
                yield Problem(fleet.source, f"host {host.name}: streams.{sending.stream}", text)


def _hosts_outside_domains(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.hosts:
        if fleet.domain_of(host.name) is None:
            text = (
                "lies in no domain of this fleet, so its address records have no home; "
                f"known are {_list(domain.name for domain in fleet.domains)}"
            )
            yield Problem(fleet.source, f"host {host.name}", text)


def _missing_inbound(fleet: Fleet) -> Iterator[Problem]:
    if fleet.hosts and not fleet.inbound_hosts:
        text = "no host takes bounces; leave inbound = True on at least one"
        yield Problem(fleet.source, "inbound", text)


def _providers(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    def incomplete(settings: Domain | Fleet) -> bool:
        dns = settings.dns if isinstance(settings, Domain) else settings.reverse_dns
        return dns is not None and dns.provider == "rfc2136" and not (dns.server and dns.key)

    text = "provider rfc2136 needs server (an IP address) and key (the TSIG key's name)"
    for domain in fleet.domains:
        if incomplete(domain):
            yield Problem(paths[domain.name], "dns", text)
    if incomplete(fleet):
        yield Problem(fleet.source, "reverse_dns", text)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
