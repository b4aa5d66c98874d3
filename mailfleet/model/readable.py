"""What of an inventory's options can be read where some are wrong.

The rest of the fleet is judged in the same run, and must not be blamed for an option that only seems to
be missing: a mistyped `labb` makes no host's address wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mailfleet.model.schema import InventoryTable

# Where the user's own value cannot be read: that with which least of the others is wrong.
_LENIENT: dict[str, Any] = {
    "domains": ("unreadable.invalid",),
    "lab": "unreadable",
    "acme": "production",
}


def readable_options(options: Mapping[str, Any]) -> InventoryTable:
    """The options with each mistyped name put right, and without those whose values are wrong."""
    meant = _meant(options)
    try:
        return InventoryTable.model_validate(meant)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
    readable = {name: value for name, value in meant.items() if name not in wrong}
    lenient = {name: value for name, value in _LENIENT.items() if name in wrong}
    return InventoryTable.model_validate({**readable, **lenient})


def _meant(options: Mapping[str, Any]) -> dict[str, Any]:
    known = InventoryTable.model_fields
    meant = {name: value for name, value in options.items() if name in known}
    for name, value in options.items():
        if name not in known:
            for close in difflib.get_close_matches(name, known, n=1):
                meant.setdefault(close, value)
    return meant
