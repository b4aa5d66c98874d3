"""docs/reference.md tells every key of the schema, and its default."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from mailfleet.model import limits, policies, schema
from mailfleet.model.kinds import LIMITS, RETRY
from mailfleet.model.open_ports import OpenPort
from mailfleet.model.outbound_tls import TlsDemand
from mailfleet.model.provider import DnsTable, ProviderSettings

pytestmark = pytest.mark.unit

_REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
_TABLES = [
    schema.HostTable,
    schema.InventoryTable,
    limits.InboundLimits,
    TlsDemand,
    schema.DomainTable,
    DnsTable,
    *get_args(ProviderSettings),
    policies.Dkim,
    schema.DmarcTable,
    policies.Spf,
    policies.MtaSts,
    OpenPort,
    schema.TlsRptTable,
    schema.TlsTable,
    policies.Caa,
    policies.Bimi,
    schema.StreamTable,
    limits.Limits,
    limits.Retry,
]


def test_every_kind_of_stream_is_explained() -> None:
    for table in (LIMITS, RETRY):
        for name in type(table["transactional"]).model_fields:
            (row,) = (line for line in _REFERENCE.splitlines() if line.startswith(f"| `{name}`"))
            shown = [cell.strip() for cell in row.split("|")[2:4]]
            kinds = (table["transactional"], table["marketing"])
            assert shown == [f"`{getattr(kind, name)}`" for kind in kinds]


@pytest.mark.parametrize("table", _TABLES)
def test_every_key_is_explained(table: type[BaseModel]) -> None:
    rows = [line for line in _REFERENCE.splitlines() if line.startswith("|")]
    for name, field in table.model_fields.items():
        if (field.alias or name).startswith("|") or name == "provider":
            continue  # no key of its own; the providers are named in one row
        # Tables share names of keys: `port` is one of [dns] and one of `open_ports`.
        named = [row for row in rows if f"`{name}`" in row.split("|")[1]]
        assert named, f"{table.__name__}.{name} is not in docs/reference.md"
        default = field.default
        if isinstance(default, (str, int)) and not isinstance(default, bool):
            shown = f'"{default}"' if isinstance(default, str) else str(default)
            assert any(f"`{shown}`" in row for row in named), (
                f"docs/reference.md gives {name} another default than {shown}"
            )
