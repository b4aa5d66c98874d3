"""pydantic's findings in the words of this project: file, key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailfleet.errors import Problem
from mailfleet.model.table_paths import table_at
from mailfleet.model.types import Table
from mailfleet.model.values import shown

_NO_TABLE = {"union_tag_invalid", "union_tag_not_found"}
"""The errors of a union in which nothing tells which table is meant."""

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
    found = error.errors(include_url=False)
    mistyped = {
        (*d["loc"][:-1], meant)
        for d in found
        if d["type"] == "extra_forbidden" and (meant := _meant(table, d["loc"]))
    }
    details = [d for d in found if d["type"] != "missing" or d["loc"] not in mistyped]
    return [
        Problem(file, ": ".join(part for part in (key, _path(d)) if part), _text(d, table, beside))
        for d in details
    ]


def _path(detail: ErrorDetails) -> str:
    # A key that is no text has no place in a path of texts; the message shows it.
    loc = detail["loc"][:-1] if detail["type"] == "invalid_key" else detail["loc"]
    if detail["type"] in _NO_TABLE and isinstance(detail["input"], dict):
        loc = (*loc, _deciding_key(detail))
    # The text names the wrong element itself, so its number in the list is left out; "|..." is a
    # union's tag and "[key]" pydantic's mark for a key that is wrong itself.
    keys = [part for part in loc if isinstance(part, str) and part != "[key]"]
    return ".".join(part for part in keys if not part.startswith("|"))


def _text(detail: ErrorDetails, root: type[BaseModel], beside: Collection[str]) -> str:
    kind, value, loc = detail["type"], detail["input"], detail["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(root, loc, beside if len(loc) == 1 else ())
    if kind == "missing":
        return _missing(table_at(root, loc[:-1]), str(loc[-1]))
    if kind in _NO_TABLE:
        return _no_table(detail, _deciding_key(detail))
    if kind in _WANTED:
        return f"{shown(value)} is not {_WANTED[kind]}"
    return _out_of_place(kind, value, detail.get("ctx", {}))


def _out_of_place(kind: str, value: object, context: Mapping[str, Any]) -> str:
    match kind:
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
    return f"{shown(value)} does not fit here; see docs/reference.md for what may stand here"


def _unknown_key(root: type[BaseModel], loc: tuple[Any, ...], beside: Collection[str]) -> str:
    name, path = str(loc[-1]), loc[:-1]
    table = table_at(root, path)
    if table is not None and issubclass(table, Table) and (text := table.about_unknown(name)):
        return text
    known = [*_keys(table), *_keys_around(root, path)]
    close = difflib.get_close_matches(name, [*known, *beside], n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; known are {', '.join(known)}" if known else "unknown key; remove it"


def _meant(root: type[BaseModel], loc: tuple[Any, ...]) -> str:
    """The key of the table that a mistyped one is nearest to; empty where it is near to none."""
    close = difflib.get_close_matches(str(loc[-1]), _keys(table_at(root, loc[:-1])), n=1)
    return close[0] if close else ""


def _keys(table: type[BaseModel] | None) -> list[str]:
    fields = table.model_fields.items() if table else ()
    return [field.alias or name for name, field in fields]


def _keys_around(root: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys of a table that keeps the one at `path` in a field which no key names."""
    while path and str(path[-1]).startswith("|"):
        path = path[:-1]
        keys = _keys(table_at(root, path))
        if any(key.startswith("|") for key in keys):
            return [key for key in keys if not key.startswith("|")]
    return []


def _missing(table: type[BaseModel] | None, key: str) -> str:
    field = table.model_fields.get(key) if table else None
    examples = field.examples if field else None
    return f"is missing; add it, e.g. {key} = {examples[0]}" if examples else "is missing; add it"


def _no_table(detail: ErrorDetails, key: str) -> str:
    """What is wrong with the key that tells which table of a union it is."""
    value = detail["input"]
    if not isinstance(value, dict):
        return f"{shown(value)} is not {_WANTED['model_type']}"
    if key not in value:
        return "is missing; add it"
    *others, last = detail["ctx"]["expected_tags"].replace("|", "").split(", ")
    return f"{shown(value[key])} is not known; write one of {', '.join(others)} or {last}"


def _deciding_key(detail: ErrorDetails) -> str:
    """The key that decides, by which the function is called that looks at it."""
    return str(detail["ctx"]["discriminator"]).removesuffix("()")
