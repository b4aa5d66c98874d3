"""The keyword arguments of an octoDNS provider class, as a domain file has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailfleet.model.values import shown

Option = str | int | float | bool | tuple[str | int | float | bool, ...]

_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_REFERENCE = re.compile(r"env/[A-Za-z_]\w*")
_SECRET = re.compile(r"secret|token|passw|api_?key|access_?key|private_?key|credential", re.I)
# What names a secret without being one.
_NO_SECRET = re.compile(r"(key|token)_?(id|name|algorithm)$|_(file|path)$", re.I)
_LARGEST = 2**31
"""What no port, time-out or identifier of a provider exceeds."""


@dataclass(frozen=True)
class ProviderClass:
    """A provider class of octoDNS, and what it is called with."""

    path: str
    """Dotted, e.g. octodns_bind.Rfc2136Provider."""
    arguments: tuple[tuple[str, Option], ...] = ()
    """Keyword arguments; secrets as env/NAME."""


def provider_class(table: object) -> ProviderClass:
    """The table `octodns` of `[dns]`: `class`, and what its class takes, secrets as env/NAME."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{shown(table)} is not a table; write keys with values")
    path = table.get("class")
    if not isinstance(path, str) or _CLASS.fullmatch(path) is None:
        raise ValueError('needs class, a dotted path, e.g. class = "octodns_bind.Rfc2136Provider"')
    arguments = {name: _option(name, value) for name, value in table.items() if name != "class"}
    return ProviderClass(path, tuple(arguments.items()))


def _option(name: Any, value: Any) -> Option:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(f"{shown(name)} is no name of a keyword argument")
    if name in {"id", "apply_disabled"}:
        raise ValueError(f"{name} is set by mailfleet; remove it")
    if isinstance(value, (list, tuple)):
        if not all(isinstance(part, (str, int, float)) for part in value):
            raise ValueError(f"{name}: a list may hold texts and numbers only")
        return tuple(_bounded(name, part) for part in value)
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"{name}: {shown(value)} does not fit; write a text, number or list")
    _bounded(name, value)
    is_secret = _SECRET.search(name) and not _NO_SECRET.search(name)
    if is_secret and not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
        # The value is not repeated: it may be the secret.
        raise ValueError(
            f'{name} is a secret, which no domain file holds; write {name} = "env/NAME", and put '
            "it into the environment variable NAME, or into the secrets file if NAME begins with "
            "MAILFLEET_"
        )
    return value


def _bounded(name: str, value: str | int | float) -> str | int | float:
    # Not a number, and infinity, compare as outside too.
    if isinstance(value, (int, float)) and not -_LARGEST < value < _LARGEST:
        raise ValueError(f"{name}: {shown(value)} does not fit; write a number below {_LARGEST}")
    return value
