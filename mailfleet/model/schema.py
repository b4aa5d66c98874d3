"""The boundary: what may stand in an inventory and in a domain file. Unknown keys are refused.

Each field names its default and an example; `docs/reference.md` is written from the same words.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from mailfleet.model.addresses import Address
from mailfleet.model.authorities import authority
from mailfleet.model.kinds import DEFAULT, Kind, with_defaults
from mailfleet.model.limits import InboundLimits, Limits, Retry
from mailfleet.model.open_ports import OpenPort
from mailfleet.model.outbound_tls import LevelOrDemand
from mailfleet.model.policies import Bimi, Caa, Dkim, MtaSts, Policy, Spf
from mailfleet.model.provider import DnsTable, ReverseDns, ReverseDnsSettings
from mailfleet.model.types import Destination, DomainName, Names, Networks, Port, Scan
from mailfleet.model.types import Table as _Table
from mailfleet.model.values import (
    as_tuple,
    at_least_one,
    distinct_keys,
    each_once,
    mail_address,
    matching,
    one_of_each_family,
    parsed_address,
    ports_once,
    secure_uri,
    stream_name,
)

MailAddress = Annotated[str, AfterValidator(mail_address)]
Identifier = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9]{0,19}",
        "start with a small letter, then small letters and digits, 20 at most, e.g. marketing",
    ),
]
Login = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9_]{0,30}",
        "start with a small letter, then small letters, digits and _, 31 at most, e.g. shop_eu",
    ),
]
Selector = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
        "write 1 to 32 small letters, digits and inner hyphens, e.g. mta1-eu",
    ),
]
LabName = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9-]{0,19}",
        "start with a small letter, then small letters, digits and hyphens, 20 at most, e.g. lab",
    ),
]
AcmeDirectory = Annotated[
    str,
    matching(
        r"production|staging|https://[A-Za-z0-9.-]+(:[0-9]{1,9})?/[A-Za-z0-9._~/-]*",
        'write "production" or "staging", which are Let\'s Encrypt\'s, or an https:// address',
    ),
    AfterValidator(lambda text: secure_uri(text) if text.startswith("https:") else text),
    AfterValidator(authority),
]
MailAddresses = Annotated[
    tuple[MailAddress, ...], BeforeValidator(as_tuple), AfterValidator(each_once)
]
Logins = Annotated[
    tuple[Login, ...],
    BeforeValidator(as_tuple),
    AfterValidator(at_least_one),
    AfterValidator(each_once),
]
Addresses = Annotated[
    tuple[Annotated[Address, BeforeValidator(parsed_address)], ...],
    BeforeValidator(lambda value: as_tuple(value, single=str)),
    AfterValidator(one_of_each_family),
]


def _kind_of_use(value: object) -> str:
    is_name = isinstance(value, str) and not any(mark in value for mark in ".:")
    return "|stream" if is_name else "|addresses"


# One finding per value instead of one per member of the union; `explain` drops the tags.
StreamUse = Annotated[
    Annotated[Identifier, Tag("|stream")] | Annotated[Addresses, Tag("|addresses")],
    Discriminator(_kind_of_use),
]


class StreamTable(_Table):
    """`[streams.NAME]`: one kind of mail."""

    from_domain: DomainName | None = None
    """Default: the file's domain. Example: "news.shop.example"."""
    return_path: DomainName | None = None
    """Default: `bounce.<from_domain>`, which DMARC's relaxed SPF alignment accepts."""
    tls_port: Port = 465
    starttls_port: Port = 587
    logins: Logins
    """Names of the applications that may submit; the password hashes are secrets."""
    kind: Kind = DEFAULT
    """Whether people wait for the mail, or it goes out in campaigns: sets limits and retries."""
    scan: Scan = "none"
    """Whether mail is scanned before it is accepted: for viruses, or in full, for spam too."""
    on_scanner_failure: Literal["defer", "pass"] = "defer"
    """What becomes of mail that cannot be scanned: 451, or accepted unscanned."""
    client_trace: Literal["hide", "keep"] = "hide"
    """Whether what tells where an application runs, such as Received lines, leaves with its mail."""
    limits: Limits
    retry: Retry

    @model_validator(mode="before")
    @classmethod
    def _has_what_its_kind_says(cls, value: object) -> object:
        return with_defaults(value)

    @model_validator(mode="after")
    def _is_scanned_if_scanning_may_fail(self) -> StreamTable:
        if self.scan == "none" and "on_scanner_failure" in self.model_fields_set:
            raise ValueError(
                'on_scanner_failure says what happens to mail that is scanned: add scan = "virus" '
                'or scan = "full", or remove it'
            )
        return self

    @model_validator(mode="after")
    def _pauses_grow(self) -> StreamTable:
        retry = self.retry
        if retry.longest_seconds < retry.first_seconds:
            raise ValueError(
                f"retry: longest_seconds is {retry.longest_seconds} and first_seconds "
                f"{retry.first_seconds}; the longest pause cannot be shorter than the first"
            )
        return self


class DmarcTable(_Table):
    """`[dmarc]`: RFC 9989 §4.7."""

    policy: Policy = "none"
    subdomain_policy: Policy | None = None
    nonexistent_policy: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    reports: MailAddresses = ()
    testing: bool = False
    """`t=y`: receivers apply the policy one level lower."""
    subdomains: Annotated[dict[DomainName, Policy], BeforeValidator(distinct_keys)] = Field(
        default_factory=dict
    )
    """Policies of single From domains. Example: {"news.shop.example" = "none"}."""


class TlsRptTable(_Table):
    """`[tls_rpt]`: RFC 8460 §3."""

    reports: Annotated[MailAddresses, AfterValidator(at_least_one)]


class TlsTable(_Table):
    """`[tls]`: the certificates of the hosts that serve the domain."""

    rsa: bool = False
    """Whether they have an RSA certificate beside the ECDSA one, for clients that know no other."""


class DomainTable(_Table):
    """A whole `dns/<domain>.toml`."""

    dns: DnsTable | None = None
    """Default: provider = "manual"."""
    dkim: Dkim = Dkim()
    dmarc: DmarcTable = DmarcTable()
    spf: Spf = Spf()
    mx: Annotated[Names, AfterValidator(at_least_one)] | None = None
    ttl: int = Field(default=3600, ge=1, le=604_800)
    postmaster: MailAddress | None = None
    """Who reads mail to postmaster and abuse of its names. Default: it stays in the maildir."""
    sends: bool = True
    """False: a parked domain, which takes and sends no mail."""
    mta_sts: MtaSts | None = None
    tls_rpt: TlsRptTable | None = None
    tls: TlsTable = TlsTable()
    caa: Caa | None = None
    bimi: Bimi | None = None
    streams: dict[Annotated[Identifier, AfterValidator(stream_name)], StreamTable] = Field(
        default_factory=dict
    )


OpenPorts = Annotated[tuple[OpenPort, ...], BeforeValidator(as_tuple), AfterValidator(ports_once)]


class HostTable(_Table):
    """What an inventory says of one host, beside pyinfra's own `ssh_*` and `_*` data."""

    addresses: Annotated[Addresses, AfterValidator(at_least_one)] = ()
    """The host's own addresses, one of each family. Default: those of its first stream."""
    streams: dict[Identifier, StreamUse]
    """Sending addresses per stream, or the name of the stream whose address it shares."""
    selector: Selector | None = None
    """First part of the DKIM selector. Default: the first two labels, e.g. mta1-eu."""
    inbound: bool = True
    """Whether the host takes bounces and reports on port 25."""
    inbound_scan: Scan | None = None
    """Whether inbound mail is scanned. Default: what `declare` says for the fleet."""
    reverse_dns: ReverseDnsSettings | None = None
    """Who serves the host's PTR records. Default: what `declare` says; None: nobody."""
    suite: Literal["bookworm", "trixie"] = "bookworm"
    """The release that a lab boots for this host; real hosts say it themselves."""
    ssh_port: Port = 22
    """pyinfra's own key, checked here because the firewall opens this port."""
    open_ports: OpenPorts = ()
    """Further ports that the firewall opens on this host, besides the fleet's `open_ports`."""


class InventoryTable(_Table):
    """What an inventory says of the whole fleet: the arguments of `declare`."""

    domains: Annotated[Names, AfterValidator(at_least_one)]
    """The fleet's domain files: "shop.example" means dns/shop.example.toml."""
    name: Identifier | None = None
    """What marks this fleet's records in DNS. Default: the inventory's file name."""
    reverse_dns: ReverseDns | None = None
    """Who serves the PTR records; also by region: {"eu": {...}}. Default: nobody, you are told."""
    inbound_scan: Scan = "full"
    """Whether inbound mail is scanned: viruses are refused, spam is marked."""
    inbound_limits: InboundLimits = InboundLimits()
    """Rates for one client address, and how much is kept for how long."""
    lab: LabName | None = None
    """Name of the lab that the hosts live in."""
    never_banned: Networks = ()
    """Whom fail2ban leaves alone: offices, monitoring. Example: ["203.0.113.0/24"]."""
    open_ports: OpenPorts = ()
    """Further ports that the firewall opens on every host: for monitoring, a backup.

    Example: [{"port": 9100, "sources": ["203.0.113.0/24"], "purpose": "node_exporter"}].
    """
    acme: AcmeDirectory = "staging"
    """Who issues the hosts' certificates (RFC 8555). Example: "production"."""
    acme_contact: MailAddress | None = None
    """Where that authority writes to. Example: "postmaster@shop.example"."""
    outbound_tls: Annotated[dict[Destination, LevelOrDemand], BeforeValidator(distinct_keys)] = (
        Field(default_factory=dict)
    )
    """TLS towards recipient domains, before DANE and MTA-STS. Example: {"bank.example": "secure"}."""
