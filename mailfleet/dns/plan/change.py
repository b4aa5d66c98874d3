"""One change to a zone: an RRset before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailfleet.dns.rrset import RRset

Kind = Literal["delete", "update", "create"]


@dataclass(frozen=True)
class Change:
    """One RRset before and after: None before a creation and after a deletion."""

    old: RRset | None
    new: RRset | None

    @property
    def kind(self) -> Kind:
        if self.old is None:
            return "create"
        return "delete" if self.new is None else "update"

    @property
    def key(self) -> tuple[str, str]:
        """Name and type."""
        either = self.new or self.old
        return either.key if either else ("", "")

    @property
    def added(self) -> frozenset[str]:
        """The values that come."""
        return frozenset(self.new.values if self.new else ()) - frozenset(
            self.old.values if self.old else ()
        )

    @property
    def removed(self) -> frozenset[str]:
        """The values that go."""
        return frozenset(self.old.values if self.old else ()) - frozenset(
            self.new.values if self.new else ()
        )
