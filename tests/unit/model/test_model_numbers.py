"""Numbers: every option that takes one says the least and the most, and refuses what lies outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from mailfleet.model.connection import ConnectionTable
from mailfleet.model.options import provider_class
from mailfleet.model.schema import DomainTable, HostTable, InventoryTable
from tests.unit.model.test_model_schema import DOMAIN, HOST, problems

pytestmark = pytest.mark.unit

TABLES: tuple[type[BaseModel], ...] = (DomainTable, HostTable, InventoryTable, ConnectionTable)
_KEY = "*"
"""In a path: any key that the table's own names leave to the user."""
_ITEM = "[]"
"""In a path: a member of a list."""


@dataclass(frozen=True)
class Number:
    """One option that takes a number: where it stands, and what its JSON schema says."""

    table: type[BaseModel]
    path: tuple[str, ...]
    schema: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.table.__name__}.{'.'.join(self.path)}"


def numbers(table: type[BaseModel]) -> Iterator[Number]:
    """Every number that may stand anywhere in a table."""
    whole = TypeAdapter(table).json_schema(by_alias=True)

    def walk(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[Number]:
        if "$ref" in schema:
            yield from walk(whole["$defs"][schema["$ref"].rpartition("/")[2]], path)
        if schema.get("type") in ("integer", "number"):
            yield Number(table, path, schema)
        for name, inner in schema.get("properties", {}).items():
            # What begins so is no key: its members stand in the table itself.
            yield from walk(inner, path if name.startswith("|") else (*path, name))
        for key in ("additionalProperties", "items"):
            if isinstance(inner := schema.get(key), dict):
                yield from walk(inner, (*path, _KEY if key == "additionalProperties" else _ITEM))
        for inner in schema.get("patternProperties", {}).values():
            yield from walk(inner, (*path, _KEY))
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for inner in schema.get(key, ()):
                yield from walk(inner, path)

    yield from walk(whole, ())


NUMBERS = [number for table in TABLES for number in numbers(table)]


def test_the_walk_finds_numbers_at_any_depth() -> None:
    found = {str(number) for number in NUMBERS}
    assert {
        "DomainTable.ttl",
        "DomainTable.dns.port",
        "DomainTable.mta_sts.max_age",
        "DomainTable.streams.*.tls_port",
        "DomainTable.streams.*.limits.message_bytes",
        "DomainTable.dkim.bits",
        "HostTable.ssh_port",
        "ConnectionTable._timeout",
        "ConnectionTable.ssh_connect_retry_max_delay",
    } <= found


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_every_number_has_bounds(number: Number) -> None:
    if not {"enum", "const"} & number.schema.keys():
        assert {"minimum", "maximum"} <= number.schema.keys(), f"give {number} ge= and le="


def _outside(schema: dict[str, Any]) -> st.SearchStrategy[int]:
    if "enum" in schema:
        return st.integers().filter(lambda value: value not in schema["enum"])
    low, high = int(schema["minimum"]), int(schema["maximum"])
    return st.one_of(
        st.integers(max_value=low - 1),
        st.integers(min_value=high + 1),
        st.sampled_from([10**30, -(10**30), 2**31, 2**63]).filter(lambda n: not low <= n <= high),
    )


@pytest.mark.parametrize("number", NUMBERS, ids=str)
@settings(max_examples=15)
@given(data=st.data())
def test_a_number_out_of_bounds_is_named_with_its_key(number: Number, data: st.DataObject) -> None:
    value = data.draw(_outside(number.schema))
    # The user's own names: a stream's.
    path = ["orders" if part == _KEY else part for part in number.path]
    table: Any = value
    for part in reversed(path):
        table = [table] if part == _ITEM else {part: table}
        if part == "port" and "dns" in path[0]:
            table["provider"] = "rfc2136"
    match number.table.__name__:
        case "DomainTable":
            found = problems(domain={**DOMAIN, **table})
        case "InventoryTable":
            found = problems(options={"domains": ["shop.example"], **table})
        case _:
            found = problems({**HOST, **table})
    # A message names the wrong member itself, not its number.
    key = ".".join(part for part in path if part != _ITEM)
    named = [text for text in found if f"{key}: " in text]
    assert any("too small" in t or "too large" in t or "not known" in t for t in named), found


@pytest.mark.parametrize("value", [10**30, -(10**30), float("nan"), float("inf"), [1, 10**30]])
def test_numbers_for_octodns_too(value: object) -> None:
    with pytest.raises(ValueError, match=r"^timeout: .* does not fit; write a number"):
        provider_class({"class": "octodns_bind.Rfc2136Provider", "timeout": value})
