"""pydantic's findings in the words of this project: file, key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailfleet.errors import Problem


def problems_of(
    error: ValidationError, table: type[BaseModel], file: str, key: str
) -> list[Problem]:
    """One Problem for each finding; `key` is put before pydantic's own path."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail)
        where = ": ".join(part for part in (key, path) if part)
        # A union reports each of its members: the first finding for a key says enough.
        found.setdefault(where, Problem(file, where, _text(detail, table)))
    return list(found.values())


def _path(detail: ErrorDetails) -> str:
    # pydantic adds the members of a union to the path ("tuple[...]"): they mean nothing to a user.
    tags = ("tuple[", "list[", "literal[", "function-", "constrained-", "is-instance[")
    parts = [str(p) for p in detail["loc"] if not str(p).startswith(tags)]
    return ".".join(parts)


def _text(detail: ErrorDetails, table: type[BaseModel]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return _unknown_key(str(detail["loc"][-1]), _fields_at(table, detail["loc"][:-1]))
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(context.get("error", detail["msg"]))
        case "literal_error":
            return f"{value!r} is not known; write one of {context.get('expected')}"
        case "string_pattern_mismatch":
            return f"{value!r} does not fit; it must match {context.get('pattern')}"
        case "too_short":
            return "is empty; give at least one"
        case "greater_than_equal":
            return f"{value!r} is too small; the least is {context.get('ge')}"
        case "less_than_equal":
            return f"{value!r} is too large; the most is {context.get('le')}"
    wanted = {"int_type": "a whole number", "string_type": "a text", "bool_type": "true or false"}
    if kind in wanted:
        return f"{value!r} is not {wanted[kind]}"
    return f"{value!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _unknown_key(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
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
    return list(current.model_fields) if current else []


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    tables = (_table_in(argument) for argument in get_args(annotation))
    return next((table for table in tables if table is not None), None)
