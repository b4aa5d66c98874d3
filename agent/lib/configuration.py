"""A program's configuration: a frozen dataclass, which a role fills, as one JSON object in a file.

Fields may be `str`, `int`, `bool`, a `Literal`, another dataclass, `tuple[X, ...]` and `frozenset[X]` of
these, and `X | None`.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Config = TypeVar("Config")


class ConfigurationError(ValueError):
    """A file does not hold what the program expects; the text names file and key."""


def dump(config: Any) -> str:
    """The text of the file; equal configurations have equal texts."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=sorted) + "\n"


def load(kind: Callable[..., Config], path: str) -> Config:
    """The configuration of the dataclass `kind` in the file `path`; ConfigurationError where it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            value: Config = _typed(json.load(file), kind, "configuration")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return value


def _typed(value: Any, kind: Any, key: str) -> Any:
    """The JSON `value` as `kind`; ValueError with its key."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal and value in arguments:
        return value
    if origin is types.UnionType:
        rest = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _typed(value, rest, key)
    if origin in (tuple, frozenset) and isinstance(value, list):
        return origin(_typed(item, arguments[0], f"{key}[{n}]") for n, item in enumerate(value))
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _object(value, kind, key)
    # `True` is an int for Python, and nobody means it.
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise ValueError(f"{key} is {value!r:.80}, expected {getattr(kind, '__name__', kind)}")


def _object(value: dict[str, Any], kind: Any, key: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(value.keys() - fields.keys()):
        raise ValueError(f"{key} has {', '.join(unknown)}, which this version does not know")
    required = {n for n, field in fields.items() if field.default is dataclasses.MISSING}
    if missing := sorted(required - value.keys()):
        raise ValueError(f"{key} lacks {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{name: _typed(item, hints[name], name) for name, item in value.items()})
