"""mailfleet: fleets of sending mail servers as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailfleet.host.resources import make_importable

if TYPE_CHECKING:
    from mailfleet.project import inventory as inventory

make_importable()


def __getattr__(name: str) -> Any:
    """Give an inventory what it imports: `from mailfleet import inventory`.

    Not before it is asked for: a lab's hosts run modules of this package without pydantic.
    """
    if name == "inventory":
        from mailfleet.project import inventory

        return inventory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
