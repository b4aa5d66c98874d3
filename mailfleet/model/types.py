"""Types of single values that several tables share, and what all tables have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mailfleet.model.addresses import Network
from mailfleet.model.names import domain_name, service_name
from mailfleet.model.values import (
    as_tuple,
    domain_or_subdomains,
    each_once,
    matching,
    parsed_network,
    secure_uri,
)


class Table(BaseModel):
    """Unknown keys are refused, nothing is converted, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def about_unknown(cls, key: str) -> str:  # noqa: ARG003
        """What to say of a key that the table does not have; empty where nothing is known of it."""
        return ""


DomainName = Annotated[str, AfterValidator(domain_name)]
ServiceNames = Annotated[
    tuple[Annotated[str, AfterValidator(service_name)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(each_once),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Destination = Annotated[str, AfterValidator(domain_or_subdomains)]
Names = Annotated[tuple[DomainName, ...], BeforeValidator(as_tuple), AfterValidator(each_once)]
Networks = Annotated[
    tuple[Annotated[Network, BeforeValidator(parsed_network)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(each_once),
]
SecureUri = Annotated[
    str,
    matching(
        # What separates tags and strings in the records that hold such a URI is left out.
        r"https://[A-Za-z0-9.-]+(:[0-9]{1,9})?/[A-Za-z0-9._~/?&=%+:@-]*",
        'write a whole https:// address without ";", "," or quotes',
    ),
    AfterValidator(secure_uri),
]
Scan = Literal["none", "virus", "full"]
"""What mail is scanned for; "full" is viruses and spam."""
