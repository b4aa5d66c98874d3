"""Which table stands at a path of keys, read from the types of pydantic's fields."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag


def table_at(root: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel] | None:
    """The table that the path leads to; None where it leads to none."""
    current: Any = root
    for part in path:
        current = _below(current, part)
    tables = (inner for inner in _members(current) if isinstance(inner, type))
    return next((table for table in tables if issubclass(table, BaseModel)), None)


def _below(annotation: Any, part: object) -> Any:
    """What stands at a key, a number or a union's tag in a value of this type."""
    if (tagged := _tagged(annotation, part)) is not None:
        return tagged
    for inner in _members(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            fields = {field.alias or name: field for name, field in inner.model_fields.items()}
            if part in fields:
                return fields[part].annotation
        elif get_origin(inner) in (dict, tuple):
            return get_args(inner)[get_origin(inner) is dict]
    return annotation


def _members(annotation: Any) -> Iterator[Any]:
    """The types that a value may have."""
    origin = get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        arguments = get_args(annotation)
        for inner in arguments[:1] if origin is Annotated else arguments:
            yield from _members(inner)
    else:
        yield annotation


def _tagged(annotation: Any, tag: object) -> Any:
    """The member of a union that has the tag; None where none has."""
    if any(
        isinstance(mark, Tag) and mark.tag == tag
        for mark in getattr(annotation, "__metadata__", ())
    ):
        return annotation
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return None
    members = (_tagged(inner, tag) for inner in get_args(annotation))
    return next((member for member in members if member is not None), None)
