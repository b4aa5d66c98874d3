"""pydantic's findings in the words of this project: file, key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailfleet.errors import Problem
from mailfleet.model.values import shown

_WANTED = {
    "int_type": "a whole number; write one without quotes or decimals",
    "string_type": "a text; write one in quotes",
    "bool_type": "true or false; write one of the two without quotes",
    "float_type": "a number; write one without quotes",
    "finite_number": "a finite number; write one",
    "model_type": "a table; write keys with values",
    "dict_type": "a table; write keys with values",
}


def problems_of(
    error: ValidationError,
    table: type[BaseModel],
    file: str,
    key: str,
    beside: Collection[str] = (),
) -> list[Problem]:
    """One Problem for each finding; `key` is put before pydantic's own path.

    `beside` are keys that may stand beside the table's own, and be meant by a misspelt one.
    """
    details = error.errors(include_url=False)
    return [
        Problem(file, ": ".join(part for part in (key, _path(d)) if part), _text(d, table, beside))
        for d in details
    ]


def _path(detail: ErrorDetails) -> str:
    # A key that is no text has no place in a path of texts; the message shows it.
    loc = detail["loc"][:-1] if detail["type"] == "invalid_key" else detail["loc"]
    # The text names the wrong element itself, so its number in the list is left out; "|..." is a
    # union's tag and "[key]" pydantic's mark for a key that is wrong itself.
    keys = [part for part in loc if isinstance(part, str) and part != "[key]"]
    return ".".join(part for part in keys if not part.startswith("|"))


def _text(detail: ErrorDetails, table: type[BaseModel], beside: Collection[str]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    known = _fields_at(table, detail["loc"][:-1])
    match kind:
        case "extra_forbidden":
            top = beside if len(detail["loc"]) == 1 else ()
            return _unknown_key(str(detail["loc"][-1]), known, top)
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"{shown(value)} is not known; write one of {context['expected']}"
        case "int_parsing_size":
            return f"{shown(value)} is too large"
        case "greater_than_equal":
            return f"{shown(value)} is too small; the least is {context['ge']}"
        case "less_than_equal":
            return f"{shown(value)} is too large; the most is {context['le']}"
        case "invalid_key":
            return f"{shown(value)} stands where a key belongs; write a text in quotes"
    if kind in _WANTED:
        return f"{shown(value)} is not {_WANTED[kind]}"
    return f"{shown(value)} does not fit here; see docs/reference.md for what may stand here"


def _unknown_key(name: str, known: list[str], beside: Collection[str]) -> str:
    close = difflib.get_close_matches(name, [*known, *beside], n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; known are {', '.join(known)}" if known else "unknown key; remove it"


def _fields_at(table: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that the table at `path` knows; empty where the path leads through no table."""
    current: type[BaseModel] | None = table
    for part in path:
        if current is None:
            return []
        field = current.model_fields.get(str(part))
        if field is not None:
            current = _table_in(field.annotation)
    fields = current.model_fields.items() if current else ()
    return [field.alias or name for name, field in fields]


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    tables = (_table_in(argument) for argument in get_args(annotation))
    return next((table for table in tables if table is not None), None)
