"""Who serves a zone: `[dns]` of a domain file, and `reverse_dns` of an inventory or a host."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from mailfleet.model.options import octodns_options
from mailfleet.model.types import DomainName, Port, ServiceNames, Table
from mailfleet.model.values import ip_address_text, matching

Provider = Literal["rfc2136", "hetzner", "cloudflare", "octodns", "manual"]

TsigName = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9.-]*",
        "write the key's name in small letters, digits, dots and hyphens, e.g. mailfleet",
    ),
]

_KEY_OF = {
    "server": "rfc2136",
    "port": "rfc2136",
    "key": "rfc2136",
    "proxied": "cloudflare",
    "octodns": "octodns",
}
"""The keys that one provider alone reads."""


class DnsTable(Table):
    """`[dns]` of a domain: who serves its zone."""

    provider: Provider
    zone: DomainName | None = None
    """Default: the file's domain. Example: shop.example, in dns/news.shop.example.toml."""
    server: Annotated[str, AfterValidator(ip_address_text)] | None = None
    port: Port = 53
    key: TsigName | None = None
    proxied: ServiceNames = ()
    """Names that Cloudflare puts its proxy before. Example: ["mta-sts.shop.example"]."""
    octodns: Annotated[dict[str, Any], AfterValidator(octodns_options)] | None = None
    """Example: {class = "octodns_bind.Rfc2136Provider", host = "203.0.113.53"}."""

    @model_validator(mode="after")
    def _has_what_its_provider_reads(self) -> DnsTable:
        for key, provider in _KEY_OF.items():
            if key in self.model_fields_set and self.provider != provider:
                raise ValueError(
                    f"{key} is for provider {provider}, and {self.provider} does not read it; "
                    "remove it"
                )
        if self.provider == "rfc2136" and not (self.server and self.key):
            raise ValueError(
                "provider rfc2136 needs server (an IP address) and key (the TSIG key's name)"
            )
        if self.provider == "octodns" and self.octodns is None:
            raise ValueError(
                'provider octodns needs octodns = { class = "octodns_bind.Rfc2136Provider", ... }, '
                "with the keyword arguments of that class"
            )
        return self


class ReverseDnsTable(DnsTable):
    """`reverse_dns`: who serves the PTR records of addresses."""

    @model_validator(mode="after")
    def _names_no_zone(self) -> ReverseDnsTable:
        for key in ("zone", "proxied"):
            if key in self.model_fields_set:
                raise ValueError(
                    f"{key} is for [dns] of a domain file; remove it, the zone of a PTR record "
                    "follows from its address"
                )
        return self


def _kind_of_reverse(value: object) -> str:
    if not isinstance(value, dict) or not value or "provider" in value:
        return "|one"
    by_region = all(isinstance(one, dict) or one is None for one in value.values())
    return "|regions" if by_region else "|one"


ReverseDns = Annotated[
    Annotated[ReverseDnsTable, Tag("|one")]
    | Annotated[dict[str, ReverseDnsTable | None], Tag("|regions")],
    Discriminator(_kind_of_reverse),
]
"""One provider for all addresses, or one for each region."""
