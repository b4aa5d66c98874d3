"""Which record sets rely on which others: what has to wait where one of them cannot be published.

A foreign record in the way of one of ours holds back nothing but what would do harm without it: a
name that leads to somebody else's address must get neither mail nor a PTR record.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from mailfleet.dns.rrset import RRset
from mailfleet.dns.spf.terms import spf_records

Key = tuple[str, str]
"""Name and type of a record set."""

Needs = Mapping[Key, frozenset[Key]]
"""What each record set needs of the others."""

# A part of a long SPF record, which includes its parts: _spf2.shop.example.
_PART = re.compile(r"^_spf[0-9]*\.")


def needs_of(desired: Iterable[RRset]) -> Needs:
    """What each of a fleet's records needs of the fleet's others, over all zones."""
    records = {record.key: record for record in desired}
    trees: dict[str, set[Key]] = {}
    for record in records.values():
        if _spf(record):
            trees.setdefault(_PART.sub("", record.name), set()).add(record.key)
    needs: dict[Key, frozenset[Key]] = {}
    for record in records.values():
        needed = {key for key in _needed(record) if key in records}
        if _spf(record):
            # Parts without the record that includes them, or the record without a part, would
            # let fewer senders pass than before.
            needed |= trees[_PART.sub("", record.name)]
        if needed - {record.key}:
            needs[record.key] = frozenset(needed - {record.key})
    return needs


def waiting(needs: Needs, unready: Collection[Key]) -> dict[Key, Key]:
    """What has to wait for the record sets that are not as planned, and for which of them."""
    dependents: dict[Key, list[Key]] = {}
    for key, needed in needs.items():
        for other in needed:
            dependents.setdefault(other, []).append(key)
    causes: dict[Key, Key] = {}
    left = [(key, key) for key in sorted(unready)]
    while left:
        key, cause = left.pop(0)
        for dependent in sorted(dependents.get(key, ())):
            if dependent not in causes and dependent not in unready:
                causes[dependent] = cause
                left.append((dependent, cause))
    return causes


def _needed(record: RRset) -> Iterator[Key]:
    if record.type == "MX":
        for value in record.values:
            yield from _addresses(value.split()[1].rstrip("."))
    elif record.type == "PTR":
        v6, v4 = record.name.endswith(".ip6.arpa"), record.name.endswith(".in-addr.arpa")
        for value in record.values:
            for key in _addresses(value.rstrip(".")):
                # Behind an alias the name may be anything (RFC 2317 §5).
                if key[1] == ("AAAA" if v6 else "A") or not (v4 or v6):
                    yield key
    elif record.type == "TXT" and record.name.startswith("_mta-sts."):
        # RFC 8461 §3: senders then hold the domain's mail servers to what its policy names.
        domain = record.name.removeprefix("_mta-sts.")
        yield from ((domain, "MX"), *_addresses(f"mta-sts.{domain}"))
    elif _spf(record):
        # "a" lets the name's own addresses pass, and nobody else.
        if any("a" in text.split() for text in spf_records(record.values)):
            yield from _addresses(record.name)


def _addresses(name: str) -> tuple[Key, Key]:
    return (name, "A"), (name, "AAAA")


def _spf(record: RRset) -> bool:
    return record.type == "TXT" and bool(spf_records(record.values))
