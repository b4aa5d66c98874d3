"""Who serves a zone: `[dns]` of a domain file, and `reverse_dns` of an inventory or a host.

Each provider has a class with its own keys. The package `mailfleet.dns.providers.<provider>` opens it.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, model_validator

from mailfleet.model.options import ProviderClass, provider_class
from mailfleet.model.types import DomainName, Port, ServiceNames, Table
from mailfleet.model.values import ip_address_text, matching, shown

TsigName = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9.-]*",
        "write the key's name in small letters, digits, dots and hyphens, e.g. mailfleet",
    ),
]


class _Settings(Table):
    """What all providers have in common. Secrets are named here, never held."""

    @property
    def label(self) -> str:
        """What a user knows the provider by."""
        return str(getattr(self, "provider"))  # noqa: B009 (each class has its own literal)

    @classmethod
    def about_unknown(cls, key: str) -> str:
        """Where a key belongs that this provider does not read."""
        if key == "zone":
            return (
                "is for [dns] of a domain file; remove it, the zone of a PTR record follows from its "
                "address"
            )
        own = cls.model_fields["provider"].default
        for other in get_args(ProviderSettings):
            if key in other.model_fields:
                provider = other.model_fields["provider"].default
                return f"is for provider {provider}, and {own} does not read it; remove it"
        return ""


class Rfc2136Settings(_Settings):
    """A primary name server that takes dynamic updates."""

    provider: Literal["rfc2136"] = "rfc2136"
    server: Annotated[str, AfterValidator(ip_address_text)] = Field(examples=['"203.0.113.53"'])
    """IP address of the primary server."""
    port: Port = 53
    key: TsigName = Field(examples=['"mailfleet"'])
    """Name of the TSIG key; its secret is `MAILFLEET_TSIG_<KEY>`."""

    @property
    def label(self) -> str:
        return f"rfc2136 {self.address}"

    @property
    def address(self) -> str:
        """The server, with its port where that is not the usual one."""
        return self.server if self.port == 53 else f"{self.server} port {self.port}"


class HetznerSettings(_Settings):
    """The project of the token `MAILFLEET_HETZNER`."""

    provider: Literal["hetzner"] = "hetzner"


class CloudflareSettings(_Settings):
    """The zones of the token `MAILFLEET_CLOUDFLARE`."""

    provider: Literal["cloudflare"] = "cloudflare"
    proxied: ServiceNames = ()
    """Names that its proxy is to stand before; no other name may have it.

    Example: ["mta-sts.shop.example"].
    """


class OctodnsSettings(_Settings):
    """A provider class of octoDNS."""

    provider: Literal["octodns"] = "octodns"
    octodns: Annotated[ProviderClass, PlainValidator(provider_class)] = Field(
        examples=['{ class = "octodns_bind.Rfc2136Provider", ... }']
    )
    """The class and its keyword arguments.

    Example: {class = "octodns_bind.Rfc2136Provider", host = "203.0.113.53"}.
    """

    @property
    def label(self) -> str:
        return f"octodns {self.octodns.path}"


class ManualSettings(_Settings):
    """Whoever keeps the zone enters its records by hand."""

    provider: Literal["manual"] = "manual"


ProviderSettings = (
    Rfc2136Settings | HetznerSettings | CloudflareSettings | OctodnsSettings | ManualSettings
)

PROVIDERS: tuple[str, ...] = tuple(
    settings.model_fields["provider"].default for settings in get_args(ProviderSettings)
)


def provider(table: object) -> str | None:
    """The tag of the class that a table is for. The function's name is the key that decides."""
    if not isinstance(table, dict) or "provider" not in table:
        return None
    return f"|{shown(table['provider'])}".replace("'", "")


# `explain` drops tags from paths, and puts the key there that decides between the tables.
_Table = Annotated[
    Annotated[Rfc2136Settings, Tag("|rfc2136")]
    | Annotated[HetznerSettings, Tag("|hetzner")]
    | Annotated[CloudflareSettings, Tag("|cloudflare")]
    | Annotated[OctodnsSettings, Tag("|octodns")]
    | Annotated[ManualSettings, Tag("|manual")],
    Discriminator(provider),
]


class DnsTable(Table):
    """`[dns]` of a domain: its zone, and who serves that."""

    zone: DomainName | None = None
    """Default: the file's domain. Example: shop.example, in dns/news.shop.example.toml."""
    settings: _Table = Field(alias="|settings")
    """All other keys."""

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        zone = {key: value[key] for key in value if key == "zone"}
        return {**zone, "|settings": {k: v for k, v in value.items() if k != "zone"}}


def _without_proxy(settings: ProviderSettings) -> ProviderSettings:
    if isinstance(settings, CloudflareSettings) and "proxied" in settings.model_fields_set:
        raise ValueError(
            "proxied is for [dns] of a domain file; remove it, no proxy stands before a PTR record"
        )
    return settings


ReverseDnsSettings = Annotated[_Table, AfterValidator(_without_proxy)]
"""`reverse_dns`: who serves the PTR records of addresses."""


def _kind_of_reverse(value: object) -> str:
    if not isinstance(value, dict) or not value or "provider" in value:
        return "|one"
    by_region = all(isinstance(inner, dict) or inner is None for inner in value.values())
    return "|regions" if by_region else "|one"


ReverseDns = Annotated[
    Annotated[ReverseDnsSettings, Tag("|one")]
    | Annotated[dict[str, ReverseDnsSettings | None], Tag("|regions")],
    Discriminator(_kind_of_reverse),
]
"""One provider for all addresses, or one for each region."""
