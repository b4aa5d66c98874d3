"""The order of a push: after each single change, mail that leaves is still authenticated.

What mail needs comes first, what refers to it next, what makes receivers stricter after that, and
what mail may no longer need goes last. A provider that applies a plan at once loses nothing by it;
with any other one, a push that dies half way leaves more permitted than needed, never less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.record_types import purpose_of
from mailfleet.dns.plan.spf_change import SpfChange, is_spf, overlap, spf_texts

# What verifies mail, and what names lead to, before what is said about it.
_NEEDED, _SPF, _REFERRING, _STRICTER, _GONE = range(5)

# RFC 7489, RFC 8461, RFC 8460 and BIMI: what receivers do with mail, by the start of the name.
_POLICIES = ("_dmarc.", "_mta-sts.", "_smtp._tls.", "default._bimi.")


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
    rest = [change for change in pending if not is_spf(change)]
    in_order: dict[int, Change] = {}
    for change in sorted([*rest, *spf], key=rank):
        if change.kind == "create":
            for earlier in _making_room(change, leaving.get(change.key[0], ())):
                in_order.setdefault(id(earlier), earlier)
        in_order.setdefault(id(change), change)
    return tuple(in_order.values())


def _rank(change: Change) -> int:
    if is_spf(change):
        return _GONE if SpfChange(change).losses or change.new is None else _SPF
    if change.kind == "delete":
        return _GONE
    name, rtype = change.key
    if name.startswith(_POLICIES):
        return _STRICTER
    return _REFERRING if purpose_of(rtype) == "refers" else _NEEDED


def _making_room(change: Change, leaving: Iterable[Change]) -> list[Change]:
    """What must leave a name first: beside a CNAME there is nothing else (RFC 1034 §3.6.2)."""
    alias = change.key[1] == "CNAME"
    return [other for other in leaving if (other.key[1] == "CNAME") != alias]


def _trees(changes: Iterable[Change]) -> Iterable[list[SpfChange]]:
    """The SPF changes by record: the parts of one record move addresses between each other only."""
    trees: dict[str, list[SpfChange]] = {}
    for change in changes:
        if is_spf(change):
            move = SpfChange(change)
            trees.setdefault(move.tree, []).append(move)
    return trees.values()


def _by_dependence(left: list[SpfChange]) -> list[Change]:
    """SPF changes of one tree such that no address goes from one record before it stands in another.

    Addresses move between the parts of a record that is spread over several, each move in one
    direction only, so the moves form no circle; should foreign records make one, the order within
    it is that of the names.
    """
    done: list[Change] = []
    while left:
        free = (move for move in left if not any(_waits(move, other) for other in left))
        chosen = next(free, left[0])
        done.append(chosen.change)
        left.remove(chosen)
    return done


def _waits(move: SpfChange, other: SpfChange) -> bool:
    """Whether `other` must be done before `move`."""
    if move is other:
        return False
    return bool(
        # An address, or what holds it, stands elsewhere before it goes here.
        overlap(move.losses, other.gains)
        # A record is there before it is included, and is included no more before it goes.
        or (f"include:{other.change.key[0]}" in move.gains and not spf_texts(other.change.old))
        or (not spf_texts(move.change.new) and f"include:{move.change.key[0]}" in other.losses)
    )
