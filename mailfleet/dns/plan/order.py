"""The order of a push: after each single change, mail that leaves is still authenticated.

What mail needs comes first, what refers to it next, what makes receivers stricter after that, and
what mail may no longer need goes last. A provider that applies a plan at once loses nothing by it;
with any other one, a push that dies half way leaves more permitted than needed, never less.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.record_types import purpose_of
from mailfleet.dns.rrset import RRset
from mailfleet.dns.spf.terms import spf_records

# What verifies mail, and what names lead to, before what is said about it.
_NEEDED, _SPF, _REFERRING, _STRICTER, _GONE = range(5)

# RFC 7489, RFC 8461, RFC 8460 and BIMI: what receivers do with mail, by the start of the name.
_POLICIES = ("_dmarc.", "_mta-sts.", "_smtp._tls.", "default._bimi.")
_PART = re.compile(r"^_spf[0-9]*\.")
_ENDS = frozenset({"-all", "~all"})


def ordered(changes: Collection[Change]) -> tuple[Change, ...]:
    """The changes in the order in which to apply them.

    DKIM keys and addresses; SPF additions; MX and PTR; policies; then what goes: SPF addresses, keys
    and names. A record that makes room for another one at its name (a CNAME) goes right before it.
    """
    ranks = {change.key: _rank(change) for change in changes}

    def rank(change: Change) -> int:
        return ranks[change.key]

    pending = sorted(changes, key=lambda change: (rank(change), change.key))
    leaving: dict[str, list[Change]] = {}
    for change in pending:
        if change.kind == "delete":
            leaving.setdefault(change.key[0], []).append(change)
    spf = [move for group in _trees(pending) for move in _by_dependence(group)]
    rest = [change for change in pending if not _is_spf(change)]
    found: dict[int, Change] = {}
    for change in sorted([*rest, *spf], key=rank):
        if change.kind == "create":
            for earlier in _making_room(change, leaving.get(change.key[0], ())):
                found.setdefault(id(earlier), earlier)
        found.setdefault(id(change), change)
    return tuple(found.values())


def _rank(change: Change) -> int:
    if _is_spf(change):
        return _GONE if _Move(change).losses or change.new is None else _SPF
    if change.kind == "delete":
        return _GONE
    name, rtype = change.key
    if name.startswith(_POLICIES):
        return _STRICTER
    return _REFERRING if purpose_of(rtype) == "refers" else _NEEDED


def _is_spf(change: Change) -> bool:
    return change.key[1] == "TXT" and bool(_texts(change.old) or _texts(change.new))


def _texts(record: RRset | None) -> list[str]:
    return spf_records(record.values) if record else []


def _spf_terms(record: RRset | None) -> frozenset[str]:
    return frozenset(term for text in _texts(record) for term in text.split()[1:])


def _making_room(change: Change, leaving: Iterable[Change]) -> list[Change]:
    """What must leave a name first: beside a CNAME there is nothing else (RFC 1034 §3.6.2)."""
    alias = change.key[1] == "CNAME"
    return [other for other in leaving if (other.key[1] == "CNAME") != alias]


def _trees(changes: Iterable[Change]) -> Iterable[list[_Move]]:
    """The SPF changes by record: the parts of one record move addresses between each other only."""
    found: dict[str, list[_Move]] = {}
    for change in changes:
        if _is_spf(change):
            move = _Move(change)
            found.setdefault(move.tree, []).append(move)
    return found.values()


def _by_dependence(left: list[_Move]) -> list[Change]:
    """SPF changes of one tree such that no address goes from one record before it stands in another.

    Addresses move between the parts of a record that is spread over several, each move in one
    direction only, so the moves form no circle; should foreign records make one, the order within
    it is that of the names.
    """
    done: list[Change] = []
    while left:
        free = (one for one in left if not any(_waits(one, other) for other in left))
        chosen = next(free, left[0])
        done.append(chosen.change)
        left.remove(chosen)
    return done


class _Move:
    """What an SPF record gains and loses; its end, `-all` or `~all`, is neither."""

    def __init__(self, change: Change) -> None:
        self.change = change
        # `_spf2.shop.example` is a part of shop.example's record.
        self.tree = _PART.sub("", change.key[0])
        old, new = _spf_terms(change.old) - _ENDS, _spf_terms(change.new) - _ENDS
        self.gains, self.losses = _beyond(new, old), _beyond(old, new)


def _waits(one: _Move, other: _Move) -> bool:
    """Whether `other` must be done before `one`."""
    if one is other:
        return False
    return bool(
        # An address, or what holds it, stands elsewhere before it goes here.
        _overlap(one.losses, other.gains)
        # A record is there before it is included, and is included no more before it goes.
        or (f"include:{other.change.key[0]}" in one.gains and not _texts(other.change.old))
        or (not _texts(one.change.new) and f"include:{one.change.key[0]}" in other.losses)
    )


def _beyond(terms: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """The terms that `others` do not cover, be it in a larger block."""
    blocks = [*collapse_addresses(filter(None, map(_v4, others)))]
    blocks6 = [*collapse_addresses(filter(None, map(_v6, others)))]

    def covered(term: str) -> bool:
        v4, v6 = _v4(term), _v6(term)
        return (
            term in others
            or (v4 is not None and any(v4.subnet_of(block) for block in blocks))
            or (v6 is not None and any(v6.subnet_of(block) for block in blocks6))
        )

    return frozenset(term for term in terms if not covered(term))


def _overlap(terms: frozenset[str], others: frozenset[str]) -> bool:
    if terms & others:
        return True
    return any(
        one is not None
        and other is not None
        and one.version == other.version
        and one.overlaps(other)
        for family in (_v4, _v6)
        for one in map(family, terms)
        for other in map(family, others)
    )


def _v4(term: str) -> IPv4Network | None:
    block = _block(term)
    return block if isinstance(block, IPv4Network) else None


def _v6(term: str) -> IPv6Network | None:
    block = _block(term)
    return block if isinstance(block, IPv6Network) else None


def _block(term: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(term[4:], strict=False) if term.startswith(("ip4:", "ip6:")) else None
    except ValueError:  # a foreign record that is adopted may be malformed
        return None
