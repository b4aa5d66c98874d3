"""Names that something else answers for: an alias at them, or an alias or a delegation above.

A record that stands where such a name leads is right, whoever keeps it there: a reverse zone that is
delegated by aliases (RFC 2317), a DKIM selector or a policy that is an alias of somebody's. Nothing is
written at such a name; where it leads wrong, that is a conflict of this name alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mailfleet.dns.lookup import Lookup, LookupFailedError
from mailfleet.dns.plan.compare import difference
from mailfleet.dns.rrset import RRset

Zone = Mapping[tuple[str, str], RRset]
"""The records of a zone by name and type."""

Verdict = Literal["right", "wrong", "unknown"]

# Aliases that lead to each other end somewhere: what resolvers follow at most.
_MOST_ALIASES = 8


@dataclass(frozen=True)
class Cover:
    """The record that answers for a name in the place of the zone's own."""

    record: RRset
    """A CNAME at the name, or a DNAME (RFC 6672 §2.4) or NS (RFC 1034 §4.2.1) above it."""
    target: str | None
    """The name that answers; None below a delegation, where it is the name itself."""


@dataclass(frozen=True)
class Judgement:
    """Whether what a covered name leads to is what is wanted there."""

    verdict: Verdict
    text: str = ""
    """What is wrong with the answer, or why there is none."""


def cover_of(record: RRset, zone: str, have: Zone) -> Cover | None:
    """What stands in the way of `record` answering from `zone`; None where nothing does."""
    labels = record.name.split(".")
    within = len(labels) - len(zone.split(".")) if record.name.endswith(f".{zone}") else 0
    # The highest one hides what stands below it.
    for at in range(within, 0, -1):
        above = ".".join(labels[at:])
        if above != zone and (cut := have.get((above, "NS"))):
            return Cover(cut, None)
        if moved := have.get((above, "DNAME")):
            return Cover(moved, ".".join((*labels[:at], moved.values[0].rstrip("."))))
    if within and (cut := have.get((record.name, "NS"))):
        return Cover(cut, None)
    alias = have.get((record.name, "CNAME")) if record.type != "CNAME" else None
    return Cover(alias, alias.values[0].rstrip(".")) if alias else None


def judged(record: RRset, cover: Cover, zone: str, have: Zone, lookup: Lookup | None) -> Judgement:
    """Ask the zone itself where the alias stays in it, else `lookup`."""
    answered = _within(record, cover, zone, have)
    if answered is None:
        if lookup is None:
            return Judgement("unknown", "nobody could be asked")
        try:
            answered = lookup(record.name, record.type)
        except LookupFailedError as error:
            return Judgement("unknown", error.problem)
    text = difference(record, answered)
    return Judgement("wrong", text) if text else Judgement("right")


def _within(record: RRset, cover: Cover, zone: str, have: Zone) -> Iterable[str] | None:
    """The values at the end of aliases that stay in the zone; None where it does not tell.

    Below the zone's name there may be another zone, also one that only the server knows of.
    """
    target = cover.target
    for _ in range(_MOST_ALIASES):
        if target is None or not (target == zone or target.endswith(f".{zone}")):
            return None
        if answer := have.get((target, record.type)):
            return answer.values
        further = cover_of(RRset(target, record.type, 0, ()), zone, have)
        target = further.target if further else None
    return None
