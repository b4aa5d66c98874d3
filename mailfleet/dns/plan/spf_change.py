"""What a change of an SPF record gains and loses."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from mailfleet.dns.plan.change import Change
from mailfleet.dns.rrset import RRset
from mailfleet.dns.spf.terms import spf_records

_PART = re.compile(r"^_spf[0-9]*\.")
_ENDS = frozenset({"-all", "~all"})


def is_spf(change: Change) -> bool:
    """Whether an SPF record comes, goes or changes."""
    return change.key[1] == "TXT" and bool(spf_texts(change.old) or spf_texts(change.new))


def spf_texts(record: RRset | None) -> list[str]:
    """The SPF records among the values."""
    return spf_records(record.values) if record else []


def _spf_terms(record: RRset | None) -> frozenset[str]:
    return frozenset(term for text in spf_texts(record) for term in text.split()[1:])


class SpfChange:
    """What an SPF record gains and loses; its end, `-all` or `~all`, is neither."""

    def __init__(self, change: Change) -> None:
        self.change = change
        # `_spf2.shop.example` is a part of shop.example's record.
        self.tree = _PART.sub("", change.key[0])
        old, new = _spf_terms(change.old) - _ENDS, _spf_terms(change.new) - _ENDS
        self.gains, self.losses = _beyond(new, old), _beyond(old, new)

    @property
    def only_adds(self) -> bool:
        """Whether every sender that passed goes on to pass, and no other result is made worse.

        A term that fails (`-ip4:...`) may come before one that passes; `all` and `redirect=` decide of
        the rest.
        """
        old, new = _spf_terms(self.change.old), _spf_terms(self.change.new)
        passes = all(term[0].isalpha() and "=" not in term for term in self.gains)
        return not self.losses and passes and old & _ENDS == new & _ENDS


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


def overlap(terms: frozenset[str], others: frozenset[str]) -> bool:
    """Whether the two have a term, or an address, in common."""
    if terms & others:
        return True
    return any(
        block is not None
        and other is not None
        and block.version == other.version
        and block.overlaps(other)
        for family in (_v4, _v6)
        for block in map(family, terms)
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
