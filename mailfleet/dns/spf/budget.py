"""What an SPF record costs its readers: ten look-ups and two void ones at most (RFC 7208 §4.6.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dns.exception import DNSException

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.rrset import canonical_name
from mailfleet.dns.spf.terms import (
    NEEDS_LOOKUP,
    SpfSyntaxError,
    Term,
    has_macro,
    spf_records,
    terms,
)
from mailfleet.model.spf_checks import MOST_LOOKUPS

MOST_VOID = 2


@dataclass(frozen=True)
class Node:
    """A term and what it leads to. The counts are those of the term itself."""

    text: str
    lookups: int = 0
    void_v4: int = 0
    void_v6: int = 0
    """How many answers are empty for a client of that family."""
    fault: str = ""
    """Why a receiver answers permerror here."""
    children: tuple[Node, ...] = ()

    def all(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def total(self) -> int:
        """Look-ups of this term and all below."""
        return sum(node.lookups for node in self.all())

    @property
    def void(self) -> int:
        """Look-ups that bring nothing, for the family of clients that meets more of them."""
        nodes = list(self.all())
        return max(sum(node.void_v4 for node in nodes), sum(node.void_v6 for node in nodes))


def tree(name: str, lookup: Lookup) -> Node:
    """The record at `name` with everything that it includes; LookupFailedError passes through."""
    children, fault = _children(name, lookup, (name,))
    return Node(name, fault=fault, children=children)


def problems(root: Node) -> list[str]:
    """Why receivers would answer permerror; empty where they do not."""
    faults = [f"{node.text}: {node.fault}" for node in root.all() if node.fault]
    if root.total > MOST_LOOKUPS:
        faults.append(
            f"needs {root.total} look-ups, and receivers stop at {MOST_LOOKUPS} (RFC 7208 §4.6.4)"
        )
    if root.void > MOST_VOID:
        faults.append(
            f"leads to {root.void} names without an answer, and receivers stop at {MOST_VOID} "
            "(RFC 7208 §4.6.4)"
        )
    return faults


def drawn(node: Node, indent: int = 0) -> Iterator[str]:
    """The tree as lines, with the look-ups of each branch."""
    notes = [f"{node.total} look-up{'s' if node.total != 1 else ''}"]
    notes += ["no answer"] if node.void_v4 or node.void_v6 else []
    notes += [node.fault] if node.fault else []
    yield f"{'  ' * indent}{node.text}: {', '.join(notes)}"
    for child in node.children:
        yield from drawn(child, indent + 1)


def _children(name: str, lookup: Lookup, path: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
    records = spf_records(lookup(name, "TXT"))
    if len(records) != 1:
        return (), "has no SPF record" if not records else "has several SPF records"
    try:
        spf_terms = terms(records[0])
    except SpfSyntaxError as error:
        return (), str(error)
    return tuple(_node(term, name, lookup, path) for term in _reached(spf_terms)), ""


def _reached(spf_terms: Sequence[Term]) -> Iterator[Term]:
    """The terms that cost look-ups; nothing after `all` is evaluated, nor redirect beside it."""
    mechanisms = [term for term in spf_terms if term.qualifier]
    for term in mechanisms:
        if term.name == "all":
            return
        if term.name in NEEDS_LOOKUP:
            yield term
    yield from (term for term in spf_terms if term.name == "redirect" and not term.qualifier)


def _node(term: Term, name: str, lookup: Lookup, path: tuple[str, ...]) -> Node:
    if has_macro(term.value):
        return Node(term.text, 1)
    try:
        target = canonical_name(term.value or name)
    except DNSException:
        return Node(term.text, 1, fault="names no domain")
    if term.name in ("include", "redirect"):
        if target in path:
            return Node(term.text, 1, fault="includes itself")
        if len(path) > MOST_LOOKUPS:
            return Node(term.text, 1, fault="is nested too deeply")
        children, fault = _children(target, lookup, (*path, target))
        return Node(term.text, 1, fault=fault, children=children)
    if term.name == "mx":
        mx_hosts = [value.split()[1].rstrip(".") for value in lookup(target, "MX")]
        if not mx_hosts:
            return Node(term.text, 1, 1, 1)
        # Whether one without address counts, §4.6.4 leaves open; one of a single family does not.
        void = sum(not (lookup(mx_host, "A") or lookup(mx_host, "AAAA")) for mx_host in mx_hosts)
        return Node(term.text, 1, void, void)
    if term.name == "ptr":  # it asks about the client, not about a name that stands here
        return Node(term.text, 1)
    v4 = 0 if lookup(target, "A") else 1
    # §5.7: exists asks for A, whatever the client's family.
    v6 = v4 if term.name == "exists" else int(not lookup(target, "AAAA"))
    return Node(term.text, 1, v4, v6)
