"""The boundary: what may stand in an inventory and in a domain file. Unknown keys are refused.

Each field names its default and an example; `docs/reference.md` is written from the same words.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from mailfleet.model.addresses import Address, parse_address
from mailfleet.model.names import domain_name


def _mail_address(text: str) -> str:
    local, at, domain = text.removeprefix("mailto:").rpartition("@")
    if not (local and at) or re.search(r"[\s,!\"<>]", local):
        raise ValueError(f"{text!r} is not a mail address; write e.g. reports@example.com")
    return f"{local}@{domain_name(domain)}"


def _address(value: object) -> Address:
    return parse_address(str(value))


DomainName = Annotated[str, AfterValidator(domain_name)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,19}$")]
Login = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Policy = Literal["none", "quarantine", "reject"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LimitsTable(_Table):
    """`[streams.NAME.limits]`: what one client may do in a minute; see Postfix's anvil(8)."""

    messages_per_minute: int = Field(default=600, ge=1)
    recipients_per_minute: int = Field(default=1200, ge=1)
    connections_per_minute: int = Field(default=120, ge=1)
    concurrent_connections: int = Field(default=50, ge=1)
    recipients_per_message: int = Field(default=50, ge=1, le=1000)
    message_bytes: int = Field(default=10_240_000, ge=10_000)


class StreamTable(_Table):
    """`[streams.NAME]`: one kind of mail."""

    from_domain: DomainName | None = None
    """Default: the file's domain. Example: "news.shop.example"."""
    return_path: DomainName | None = None
    """Default: `bounce.<from_domain>`, which DMARC's relaxed SPF alignment accepts."""
    tls_port: Port = 465
    starttls_port: Port = 587
    logins: tuple[Login, ...] = Field(min_length=1, strict=False)
    """Names of the applications that may submit; the password hashes are secrets."""
    limits: LimitsTable = LimitsTable()


class DkimTable(_Table):
    """`[dkim]`: the signing period is part of the selector; a new one means new keys."""

    period: str = Field(default="1", pattern=r"^[a-z0-9]{1,16}$")
    bits: Literal[2048, 3072, 4096] = 2048


class DmarcTable(_Table):
    """`[dmarc]`: RFC 9989 §4.7."""

    policy: Policy = "none"
    subdomain_policy: Policy | None = None
    nonexistent_policy: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    reports: tuple[MailAddress, ...] = Field(default=(), strict=False)


class SpfTable(_Table):
    """`[spf]`: RFC 7208."""

    includes: tuple[DomainName, ...] = Field(default=(), strict=False)
    all: Literal["-all", "~all"] = "-all"


class DnsTable(_Table):
    """`[dns]` of a domain, or `reverse_dns` of an inventory: who serves the zone."""

    provider: Literal["rfc2136", "hetzner", "cloudflare", "octodns"]
    zone: DomainName | None = None
    """Default: the file's domain. Example: shop.example, in dns/news.shop.example.toml."""
    server: str | None = None
    port: Port = 53
    key: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$")

    @field_validator("server")
    @classmethod
    def _server_is_an_address(cls, value: str | None) -> str | None:
        return str(parse_address(value)) if value is not None else None


class DomainTable(_Table):
    """A whole `dns/<domain>.toml`."""

    dns: DnsTable | None = None
    dkim: DkimTable = DkimTable()
    dmarc: DmarcTable = DmarcTable()
    spf: SpfTable = SpfTable()
    mx: tuple[DomainName, ...] | None = Field(default=None, strict=False)
    ttl: int = Field(default=3600, ge=1, le=604_800)
    streams: dict[Identifier, StreamTable] = {}


class HostTable(_Table):
    """What an inventory says of one host, beside pyinfra's own `ssh_*` and `_*` data."""

    addresses: tuple[Annotated[Address, Field(union_mode="left_to_right")], ...] = ()
    """The host's own addresses, one of each family. Default: those of its first stream."""
    streams: dict[Identifier, tuple[Address, ...] | Identifier]
    """Sending addresses per stream, or the name of the stream whose address it shares."""
    selector: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
    """First part of the DKIM selector. Default: the first two labels, e.g. mta1-eu."""
    inbound: bool = True
    """Whether the host takes bounces and reports on port 25."""
    suite: Literal["bookworm", "trixie", "noble"] = "bookworm"
    """The release that a lab boots for this host; real hosts say it themselves."""

    @field_validator("addresses", mode="before")
    @classmethod
    def _parse_addresses(cls, value: object) -> object:
        return _addresses(value)

    @field_validator("streams", mode="before")
    @classmethod
    def _parse_streams(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, str) and _is_name(v) else _addresses(v) for k, v in value.items()}

    @field_validator("addresses", "streams")
    @classmethod
    def _one_of_each_family(cls, value: object) -> object:
        groups = value.values() if isinstance(value, dict) else [value]
        for group in groups:
            if isinstance(group, tuple) and len({a.version for a in group}) < len(group):
                raise ValueError("give at most one IPv4 and one IPv6 address")
        return value


class InventoryTable(_Table):
    """What an inventory says of the whole fleet: the arguments of `declare`."""

    domains: tuple[DomainName, ...] = Field(min_length=1, strict=False)
    """The fleet's domain files: "shop.example" means dns/shop.example.toml."""
    reverse_dns: DnsTable | None = None
    """Who serves the PTR records. Default: nobody, they are only checked."""
    lab: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{0,19}$")
    """Name of the lab that the hosts live in."""


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9]*", text) is not None


def _addresses(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return tuple(_address(item) for item in value)
    return (_address(value),) if isinstance(value, str) else value
