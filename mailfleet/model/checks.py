"""What must be true between machines and identities; every finding names the remedy.

Here: the list of all checks, and those of hosts and addresses. Those of streams and domains stand in
`mailfleet.model.identity_checks`, those of what a domain publishes in `mailfleet.model.policy_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from mailfleet.errors import Problem
from mailfleet.model import (
    identity_checks,
    limit_checks,
    policy_checks,
    report_checks,
    spf_checks,
)
from mailfleet.model.addresses import Address, is_documentation, is_public
from mailfleet.model.fleet import Fleet, Host, SendingAddress


def cross_check(fleet: Fleet, paths: Mapping[str, str], *, complete: bool) -> list[Problem]:
    """Everything that is wrong between the parts of a fleet.

    `paths` maps each domain to its file. With `complete` false some tables could not be read, and
    the checks for things that are missing are left out, lest they blame the wrong place.
    """
    problems = [
        *_duplicate_names(fleet),
        *_duplicate_addresses(fleet),
        *_unusable_addresses(fleet),
        *_taken_ports(fleet),
        *_needless_open_ports(fleet),
        *identity_checks.contradictions(fleet, paths),
        *policy_checks.policy_contradictions(fleet, paths),
        *spf_checks.include_faults(fleet, paths),
        *limit_checks.name_limits(fleet, paths),
        *_peers_out_of_reach(fleet),
    ]
    if all(sending.stream in _stream_names(fleet) for h in fleet.hosts for sending in h.sending):
        problems += limit_checks.certificate_limits(fleet)
    if complete:
        problems += [
            *report_checks.unreachable(fleet, paths),
            *_streams_without_address(fleet, paths),
            *_hosts_outside_domains(fleet),
            *_missing_inbound(fleet),
            *identity_checks.omissions(fleet),
        ]
    return problems


def deploy_problems(fleet: Fleet) -> list[Problem]:
    """What forbids to connect to the hosts, though the fleet loads and plans: example addresses."""
    if fleet.offers.example_addresses:
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


def _without_common_version(hosts: Sequence[Host]) -> list[tuple[Host, Host]]:
    """The pairs of a host with IPv4 alone and one with IPv6 alone, in the order of the hosts."""
    single: dict[int, list[int]] = {4: [], 6: []}
    for number, host in enumerate(hosts):
        versions = {address.version for address in host.addresses}
        if len(versions) == 1:
            single[versions.pop()].append(number)
    pairs = sorted((min(pair), max(pair)) for pair in product(single[4], single[6]))
    return [(hosts[one], hosts[other]) for one, other in pairs]


def _peers_out_of_reach(fleet: Fleet) -> Iterator[Problem]:
    """Hosts that share a name, but no IP version: the authority may ask either for a challenge of
    the other (RFC 8555 §8.3), which neither could fetch.
    """
    policies = any(domain.mta_sts is not None for domain in fleet.domains)
    for host, other in _without_common_version(fleet.hosts):
        streams = sorted({s.stream for s in host.sending} & {s.stream for s in other.sending})
        shared = [f"the endpoint of stream {stream}" for stream in streams]
        shared += ["the MTA-STS policy"] * (policies and host.inbound and other.inbound)
        if shared:
            text = (
                f"serves {shared[0]} together with {other.name}, with which it shares no IP "
                "version, so that neither gets a certificate for it; give one of the two an "
                "address of its own of the other version"
            )
            yield Problem(fleet.source, f"host {host.name}: addresses", text)


def _stream_names(fleet: Fleet) -> frozenset[str]:
    return frozenset(stream.name for stream in fleet.streams)


def _duplicate_names(fleet: Fleet) -> Iterator[Problem]:
    seen: dict[str, Host] = {}
    for host in fleet.hosts:
        other = seen.setdefault(host.name, host)
        if other is not host:
            text = f"is already a host of region {other.region}; a host stands in one region only"
            yield Problem(fleet.source, f"host {host.name}", text)
    for host in fleet.hosts:
        for helo in host.names[1:]:
            other = seen.setdefault(helo, host)
            if other.name == helo:
                text = (
                    f"its HELO name {helo} is also the name of a host; give that host another name"
                )
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
                remedy = (
                    f'to share it, write "{use}": "{its_use}"'
                    if other is host
                    else "give each host and stream an address of its own"
                )
                text = f"address {address} is already the {its_use} address of {other.name}"
                yield Problem(fleet.source, f"host {host.name}", f"{text}; {remedy}")
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


def _taken_ports(fleet: Fleet) -> Iterator[Problem]:
    known = {stream.name: stream for stream in fleet.streams}
    for host in fleet.hosts:
        if use := identity_checks.RESERVED_PORTS.get(host.ssh_port):
            text = f"port {host.ssh_port} serves {use}; let SSH listen on another"
            yield Problem(fleet.source, f"host {host.name}: ssh_port", text)
        taken: dict[tuple[str, int], SendingAddress] = {}
        for sending in host.sending:
            stream = known.get(sending.stream)
            if stream is None:
                continue
            key = f"host {host.name}: streams.{stream.name}"
            for port in dict.fromkeys((stream.tls_port, stream.starttls_port)):
                if port == host.ssh_port:
                    text = f"port {port} is the host's SSH port; set another port for the stream"
                    yield Problem(fleet.source, key, text)
                other = taken.setdefault((sending.shares or sending.stream, port), sending)
                if other is not sending:
                    text = (
                        f"port {port} of the shared address is already taken by stream "
                        f"{other.stream}; set tls_port and starttls_port of stream {stream.name}"
                    )
                    yield Problem(fleet.source, key, text)


def _needless_open_ports(fleet: Fleet) -> Iterator[Problem]:
    known = {stream.name: stream for stream in fleet.streams}
    for host in fleet.hosts:
        uses = {**identity_checks.RESERVED_PORTS, host.ssh_port: "SSH"}
        for sending in host.sending:
            if stream := known.get(sending.stream):
                uses |= dict.fromkeys(
                    (stream.tls_port, stream.starttls_port), f"stream {stream.name}"
                )
        for opened in host.open_ports:
            if opened.protocol == "tcp" and (use := uses.get(opened.port)):
                text = (
                    f"port {opened.port} serves {use}, and the firewall opens what that needs; remove "
                    "it here"
                )
                yield Problem(fleet.source, f"host {host.name}: open_ports", text)


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
            known = ", ".join(domain.name for domain in fleet.domains)
            text = (
                "lies in no domain of this fleet, so its address records have no home; "
                f"known are {known}"
            )
            yield Problem(fleet.source, f"host {host.name}", text)


def _missing_inbound(fleet: Fleet) -> Iterator[Problem]:
    if fleet.hosts and not fleet.inbound_hosts:
        text = "no host takes bounces; leave inbound = True on at least one"
        yield Problem(fleet.source, "inbound", text)
