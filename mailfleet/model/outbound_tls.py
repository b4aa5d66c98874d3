"""What the fleet demands of TLS towards single recipient domains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from mailfleet.model.types import Destination, Table
from mailfleet.model.values import as_tuple, at_least_one, each_once

TlsLevel = Literal["may", "encrypt", "dane-only", "verify", "secure"]
"""Postfix's security levels (TLS_README): from "if offered" to "with a certificate for the domain"."""


class TlsDemand(Table):
    """What `outbound_tls` says of one recipient domain; it wins over DANE and MTA-STS."""

    level: TlsLevel
    names: Annotated[
        tuple[Destination, ...],
        BeforeValidator(as_tuple),
        AfterValidator(at_least_one),
        AfterValidator(each_once),
    ] = ()
    """Names of which the certificate must have one. Default: the domain or a subdomain of it.

    Example: ["mx.partner.example"].
    """

    @model_validator(mode="after")
    def _has_use_for_names(self) -> TlsDemand:
        if self.names and self.level != "secure":
            raise ValueError(f'names are for level "secure" only; "{self.level}" has none')
        return self

    @property
    def policy(self) -> str:
        """The right-hand side of Postfix's smtp_tls_policy_maps."""
        if self.level not in ("verify", "secure"):
            return self.level
        own = "hostname" if self.level == "verify" else "nexthop:dot-nexthop"
        match = ":".join(self.names) or own
        # The server may have several certificates; it is asked for that of its own name.
        return f"{self.level} match={match} servername=hostname"


LevelOrDemand = Annotated[
    TlsDemand, BeforeValidator(lambda v: {"level": v} if isinstance(v, str) else v)
]
"""A text alone is the level."""
