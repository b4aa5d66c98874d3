"""docs/reference.md tells every key of the schema, and its default."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import BaseModel

from mailfleet.model import schema
from mailfleet.model.kinds import LIMITS, RETRY
from mailfleet.model.limits import LimitsTable, RetryTable
from mailfleet.model.provider import DnsTable, ReverseDnsTable

pytestmark = pytest.mark.unit

_REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
_TABLES = [
    schema.HostTable,
    schema.InventoryTable,
    schema.InboundLimitsTable,
    schema.TlsDemandTable,
    schema.DomainTable,
    DnsTable,
    ReverseDnsTable,
    schema.DkimTable,
    schema.DmarcTable,
    schema.SpfTable,
    schema.MtaStsTable,
    schema.OpenPortTable,
    schema.TlsRptTable,
    schema.TlsTable,
    schema.CaaTable,
    schema.BimiTable,
    schema.StreamTable,
    LimitsTable,
    RetryTable,
]


def test_every_kind_of_stream_is_explained() -> None:
    for table in (LIMITS, RETRY):
        for field in dataclasses.fields(table["transactional"]):
            (row,) = (
                line for line in _REFERENCE.splitlines() if line.startswith(f"| `{field.name}`")
            )
            shown = [cell.strip() for cell in row.split("|")[2:4]]
            kinds = (table["transactional"], table["marketing"])
            assert shown == [f"`{getattr(kind, field.name)}`" for kind in kinds]


@pytest.mark.parametrize("table", _TABLES)
def test_every_key_is_explained(table: type[BaseModel]) -> None:
    rows = [line for line in _REFERENCE.splitlines() if line.startswith("|")]
    for name, field in table.model_fields.items():
        # Tables share names of keys: `port` is one of [dns] and one of `open_ports`.
        named = [row for row in rows if f"`{name}`" in row.split("|")[1]]
        assert named, f"{table.__name__}.{name} is not in docs/reference.md"
        default = field.default
        if isinstance(default, (str, int)) and not isinstance(default, bool):
            shown = f'"{default}"' if isinstance(default, str) else str(default)
            assert any(f"`{shown}`" in row for row in named), (
                f"docs/reference.md gives {name} another default than {shown}"
            )
