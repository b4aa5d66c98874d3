"""What one inventory describes, validated and frozen. Pure values: no I/O, nothing from pyinfra.

`mailfleet.model.build` makes a Fleet; everything else only reads it. What can be derived (HELO names,
selectors, endpoints) is a property here and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Literal

from mailfleet.model import environment
from mailfleet.model.addresses import Address, Network
from mailfleet.model.limits import InboundLimits, Limits, Retry
from mailfleet.model.open_ports import OpenPort
from mailfleet.model.outbound_tls import TlsDemand
from mailfleet.model.policies import Bimi, Caa, Dkim, Dmarc, MtaSts, Spf
from mailfleet.model.provider import CloudflareSettings, ProviderSettings
from mailfleet.model.types import Scan


@dataclass(frozen=True)
class Stream:
    """One kind of mail: its From domain, return path, endpoint, logins and limits."""

    name: str
    domain: str
    """The domain file that declares the stream."""
    from_domain: str
    """The From domain, and DKIM's `d=`."""
    return_path: str
    """The domain of MAIL FROM, where bounces come back to."""
    tls_port: int
    starttls_port: int
    logins: tuple[str, ...]
    limits: Limits
    retry: Retry
    scan: Scan
    """What is looked for before a message is accepted."""
    on_scanner_failure: Literal["defer", "pass"]
    client_trace: Literal["hide", "keep"]
    """Whether the application's host name, address and Received lines leave with its mail."""

    @property
    def endpoint(self) -> str:
        """The name that applications submit to, all regions together."""
        return f"smtp-{self.name}.{self.domain}"

    def regional_endpoint(self, region: str) -> str:
        """The name for applications that must stay within one region."""
        return f"smtp-{self.name}-{region}.{self.domain}"


@dataclass(frozen=True)
class Domain:
    """An identity that mail is sent as; one `dns/<domain>.toml` each."""

    name: str
    zone: str
    dns: ProviderSettings
    streams: tuple[Stream, ...]
    dkim: Dkim
    dmarc: Dmarc
    spf: Spf
    mx: tuple[str, ...] | None
    """Foreign mail servers of the domain in order of preference; None: this fleet's inbound."""
    ttl: int
    sends: bool
    """False for a parked domain: it takes and sends no mail, and says so."""
    mta_sts: MtaSts | None
    tls_reports: tuple[str, ...]
    """Mail addresses for reports on TLS (RFC 8460)."""
    caa: Caa | None
    bimi: Bimi | None
    postmaster: str | None
    """Who reads mail to postmaster and abuse; None: it stays in the domain's maildir."""
    rsa: bool
    """Whether hosts that serve the domain have an RSA certificate beside the ECDSA one."""

    @property
    def from_domains(self) -> tuple[str, ...]:
        """What the domain's streams are sent as, each once."""
        return tuple(dict.fromkeys(stream.from_domain for stream in self.streams))

    @property
    def mail_names(self) -> tuple[str, ...]:
        """The From and return-path domains of its streams, each once: what has an MX record."""
        names = (n for stream in self.streams for n in (stream.from_domain, stream.return_path))
        return tuple(dict.fromkeys(names))

    @property
    def policy_hosts(self) -> tuple[str, ...]:
        """The names that serve its MTA-STS policies (RFC 8461 §3.3)."""
        names = self.mail_names if self.mta_sts is not None else ()
        return tuple(f"mta-sts.{name}" for name in names)


@dataclass(frozen=True)
class SendingAddress:
    """One IPv4 and/or IPv6 address on one host for one stream: the unit of reputation."""

    stream: str
    host: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    shares: str | None = None
    """The stream whose address this one uses (decision D1); its DNS names are that stream's."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(a for a in (self.ipv4, self.ipv6) if a is not None)

    @property
    def helo(self) -> str:
        """HELO name, PTR target and banner of this address."""
        return f"{self.shares or self.stream}.{self.host}"

    @property
    def instance(self) -> str:
        """The Postfix instance that sends from here: configuration in /etc/<instance>."""
        return f"postfix-{self.stream}"


@dataclass(frozen=True)
class Host:
    """One server."""

    name: str
    region: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    sending: tuple[SendingAddress, ...]
    selector: str
    ssh_port: int
    inbound: bool
    suite: str
    inbound_scan: Scan
    """What inbound mail is scanned for; always "none" where the host takes none."""
    reverse_dns: ProviderSettings | None
    """Who serves the PTR records of its addresses; None: nobody that we could ask."""
    open_ports: tuple[OpenPort, ...]
    """The fleet's, then the host's own."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The host's own addresses, IPv4 first."""
        return tuple(a for a in (self.ipv4, self.ipv6) if a is not None)

    @property
    def all_addresses(self) -> tuple[Address, ...]:
        """Own and sending addresses, each once."""
        addresses = self.addresses + tuple(a for s in self.sending for a in s.addresses)
        return tuple(dict.fromkeys(addresses))

    @property
    def reverse_names(self) -> dict[Address, str]:
        """What each address is called in reverse DNS: its HELO name, else the host's."""
        names: dict[Address, str] = dict.fromkeys(self.addresses, self.name)
        return names | {address: s.helo for s in self.sending for address in s.addresses}

    def sending_address(self, stream: str) -> SendingAddress:
        """Where it sends a stream from; KeyError where it does not."""
        return {sending.stream: sending for sending in self.sending}[stream]

    @property
    def names(self) -> tuple[str, ...]:
        """Host name and HELO names, each once."""
        return tuple(dict.fromkeys((self.name, *(s.helo for s in self.sending))))


@dataclass(frozen=True)
class Region:
    """A named group of hosts."""

    name: str
    hosts: tuple[Host, ...]


@dataclass(frozen=True)
class Fleet:
    """Everything one inventory describes.

    Its parts name one another, and are looked up here: a stream that held its domain could not be
    frozen, since the domain holds its streams.
    """

    name: str
    source: str
    """The inventory's path as the user gave it."""
    regions: tuple[Region, ...]
    domains: tuple[Domain, ...]
    lab: str | None
    """Name of the lab that the hosts live in; None for real servers."""
    never_banned: tuple[Network, ...] = ()
    """Networks whose addresses are never banned, besides the fleet's own."""
    acme: str = "staging"
    """`production` or `staging` of Let's Encrypt, or a directory's URL; a lab has its own."""
    acme_contact: str | None = None
    outbound_tls: Mapping[str, TlsDemand] = field(default_factory=dict, hash=False)
    """By recipient domain, or with a leading dot for all its subdomains."""
    inbound_limits: InboundLimits = field(default_factory=InboundLimits)

    @property
    def offers(self) -> environment.Offers:
        """What the place where the hosts live offers them."""
        return environment.INTERNET if self.lab is None else environment.LAB

    @cached_property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(host for region in self.regions for host in region.hosts)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(stream for domain in self.domains for stream in domain.streams)

    @property
    def from_domains(self) -> tuple[str, ...]:
        """Every domain that the fleet signs for, each once."""
        return tuple(dict.fromkeys(stream.from_domain for stream in self.streams))

    @property
    def inbound_hosts(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.inbound)

    @property
    def own_networks(self) -> tuple[Network, ...]:
        """Whom no host of the fleet shuts out: itself, all hosts, and `never_banned`."""
        loopback = (ip_network("127.0.0.0/8"), ip_network("::1"))
        own = (ip_network(str(address)) for host in self.hosts for address in host.all_addresses)
        return tuple(dict.fromkeys((*loopback, *own, *self.never_banned)))

    # Looked up once for each record of a fleet: a walk through all would make that quadratic.

    @cached_property
    def _hosts(self) -> dict[str, Host]:
        return {host.name: host for host in reversed(self.hosts)}

    @cached_property
    def _streams(self) -> dict[str, Stream]:
        return {stream.name: stream for stream in reversed(self.streams)}

    @cached_property
    def _domains(self) -> dict[str, Domain]:
        return {domain.name: domain for domain in reversed(self.domains)}

    def host(self, name: str) -> Host:
        """The host of that name; KeyError where there is none."""
        return self._hosts[name]

    def stream(self, name: str) -> Stream:
        """The stream of that name; KeyError where there is none."""
        return self._streams[name]

    def domain(self, name: str) -> Domain:
        """The domain file of that name; KeyError where there is none."""
        return self._domains[name]

    def domain_of(self, name: str) -> Domain | None:
        """The most specific domain file that a DNS name falls under."""
        while name:
            if name in self._domains:
                return self._domains[name]
            name = name.partition(".")[2]
        return None

    @property
    def proxied(self) -> frozenset[str]:
        """The names that are to stand behind Cloudflare's proxy.

        Any domain file that is at Cloudflare may name them, since several can share a zone; a name
        of a domain that is elsewhere has no proxy.
        """
        named = {
            name
            for domain in self.domains
            if isinstance(domain.dns, CloudflareSettings)
            for name in domain.dns.proxied
        }
        owners = {name: self.domain_of(name) for name in named}
        return frozenset(
            name
            for name, owner in owners.items()
            if owner is not None and isinstance(owner.dns, CloudflareSettings)
        )

    def sending_addresses(self, stream: str) -> Iterator[SendingAddress]:
        """Every host's sending address for a stream."""
        return (s for host in self.hosts for s in host.sending if s.stream == stream)

    def host_streams(self, host: Host) -> tuple[tuple[SendingAddress, Stream], ...]:
        """A host's sending addresses with the streams that they serve."""
        return tuple((sending, self.stream(sending.stream)) for sending in host.sending)

    def signing_domains(self, host: Host) -> tuple[str, ...]:
        """The domains that a host signs for, each once."""
        return tuple(dict.fromkeys(stream.from_domain for _, stream in self.host_streams(host)))

    def selector(self, host: Host, from_domain: str) -> str:
        """A host's DKIM selector for a domain, e.g. `mta1-eu-2026q4`."""
        owner = next(s.domain for s in self.streams if s.from_domain == from_domain)
        return f"{host.selector}-{self.domain(owner).dkim.period}"

    def endpoints(self, host: Host) -> tuple[str, ...]:
        """The endpoint names under which applications reach a host."""
        return tuple(
            name
            for _, stream in self.host_streams(host)
            for name in (stream.endpoint, stream.regional_endpoint(host.region))
        )

    def certificate_names(self, host: Host) -> tuple[str, ...]:
        """What the host's certificate has to cover: host name first, HELO names, endpoints, policies.

        Not what a proxy of Cloudflare's stands before: its certificate is Cloudflare's, and no
        challenge for it reaches the host.
        """
        policies = (n for domain in self.domains for n in domain.policy_hosts if host.inbound)
        wanted = dict.fromkeys((*host.names, *self.endpoints(host), *policies))
        proxied = self.proxied
        return tuple(name for name in wanted if name not in proxied)
