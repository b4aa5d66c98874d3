"""Types of single values that several tables share, and what all tables have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mailfleet.model.names import domain_name, service_name
from mailfleet.model.values import as_tuple, each_once


class Table(BaseModel):
    """Unknown keys are refused, nothing is converted, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


DomainName = Annotated[str, AfterValidator(domain_name)]
ServiceNames = Annotated[
    tuple[Annotated[str, AfterValidator(service_name)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(each_once),
]
Port = Annotated[int, Field(ge=1, le=65535)]
