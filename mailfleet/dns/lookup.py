"""How pure code asks DNS: a function that the edge passes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mailfleet.errors import MailfleetError

Lookup = Callable[[str, str], Sequence[str]]
"""The canonical values of a name and type; empty where there are none or no such name.

Raises LookupFailedError where no answer can be had, which says nothing about the record.
"""


class LookupFailedError(MailfleetError):
    """A name could not be looked up: time-out, SERVFAIL, or a broken chain of signatures."""


def with_own(own: Mapping[tuple[str, str], Sequence[str]], lookup: Lookup) -> Lookup:
    """`lookup`, as it will answer once the records `own` are published."""

    def answer(name: str, rtype: str) -> Sequence[str]:
        return own[name, rtype] if (name, rtype) in own else lookup(name, rtype)

    return answer
