"""Judging a client by SPF as a receiver does: check_host() of RFC 7208 §4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal

from mailfleet.dns.lookup import Lookup, LookupFailedError
from mailfleet.dns.spf.budget import MOST_VOID
from mailfleet.dns.spf.terms import SpfSyntaxError, Term, expand, spf_records, terms
from mailfleet.model import Address
from mailfleet.model.spf_checks import MOST_LOOKUPS

Verdict = Literal["pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"]

_QUALIFIERS: dict[str, Verdict] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MOST_EXCHANGERS = 10


@dataclass(frozen=True)
class Judgement:
    """`reason` is the term that decided, or what is wrong."""

    verdict: Verdict
    reason: str


class _PermanentError(Exception):
    """The record cannot be evaluated, and will not be able to be."""


def check_host(
    address: Address, domain: str, lookup: Lookup, *, sender: str = "", helo: str = ""
) -> Judgement:
    """What a receiver makes of mail from `address` whose MAIL FROM or HELO is at `domain`."""
    run = _Run(address, sender or f"postmaster@{domain}", helo or domain, lookup)
    try:
        return run.judge(domain)
    except (SpfSyntaxError, _PermanentError) as error:
        return Judgement("permerror", str(error))
    except LookupFailedError as error:
        return Judgement("temperror", error.problem)


@dataclass
class _Run:
    """One evaluation: look-ups are counted over all records that it reads."""

    address: Address
    sender: str
    helo: str
    lookup: Lookup
    lookups: int = field(default=0)
    void: int = field(default=0)

    def judge(self, domain: str) -> Judgement:
        records = spf_records(self.lookup(domain, "TXT"))
        if not records:
            return Judgement("none", f"{domain} has no SPF record")
        if len(records) > 1:
            raise _PermanentError(f"{domain} has {len(records)} SPF records")
        spf_terms = terms(records[0])
        for term in spf_terms:
            if term.qualifier and self._matches(term, domain):
                return Judgement(_QUALIFIERS[term.qualifier], f"{domain}: {term.text}")
        for term in spf_terms:
            if term.name == "redirect":
                self._count()
                target = self._target(term, domain)
                judged = self.judge(target)
                if judged.verdict == "none":
                    raise _PermanentError(f"{term.text}: {judged.reason}")
                return judged
        return Judgement("neutral", f"{domain}: nothing matches")

    def _matches(self, term: Term, domain: str) -> bool:
        if term.name == "all":
            return True
        if term.name in ("ip4", "ip6"):
            return self._in_block(term)
        self._count()
        if term.name == "ptr":
            return self._has_name(self._target(term, domain))
        target = self._target(term, domain)
        if term.name == "include":
            judged = self.judge(target)
            if judged.verdict == "none":
                raise _PermanentError(f"{term.text}: {judged.reason}")
            return judged.verdict == "pass"
        if term.name == "exists":
            return bool(self._ask(target, "A"))
        if term.name == "a":
            return self._is_one_of([target], term)
        mx_hosts = [value.split()[1] for value in self._ask(target, "MX")]
        if len(mx_hosts) > _MOST_EXCHANGERS:
            raise _PermanentError(f"{target} has more than {_MOST_EXCHANGERS} mail exchangers")
        return self._is_one_of([name.rstrip(".") for name in mx_hosts], term)

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise _PermanentError(f"more than {MOST_LOOKUPS} look-ups")

    def _ask(self, name: str, rtype: str) -> Sequence[str]:
        # §4.6.4 leaves open whether a mail exchanger without address counts; pyspf counts it.
        values = self.lookup(name, rtype)
        if not values:
            self.void += 1
            if self.void > MOST_VOID:
                raise _PermanentError(f"more than {MOST_VOID} look-ups without an answer")
        return values

    def _in_block(self, term: Term) -> bool:
        try:
            block = ip_network(term.value, strict=False)
        except ValueError:
            raise _PermanentError(f"{term.text} is no address block") from None
        if block.version != int(term.name[2]):
            raise _PermanentError(f"{term.text} is of the other IP version")
        return self.address in block

    def _is_one_of(self, names: Sequence[str], term: Term) -> bool:
        v4 = self.address.version == 4
        rtype, length = ("A", term.v4) if v4 else ("AAAA", term.v6)
        # All are asked before any is compared: each void answer counts, also one after a match.
        addresses = [text for name in names for text in self._ask(name, rtype)]
        return any(
            self.address in ip_network((ip_address(text), length), strict=False)
            for text in addresses
        )

    def _has_name(self, target: str) -> bool:
        """§5.5: a name of the client's that leads back to it and lies within the target."""
        rtype = "A" if self.address.version == 4 else "AAAA"
        for value in list(self._ask(self.address.reverse_pointer, "PTR"))[:_MOST_EXCHANGERS]:
            name = value.rstrip(".")
            inside = name == target or name.endswith(f".{target}")
            if inside and self.address in map(ip_address, self.lookup(name, rtype)):
                return True
        return False

    def _target(self, term: Term, domain: str) -> str:
        if not term.value:
            return domain
        local, _, at = self.sender.rpartition("@")
        nibbles = self.address.exploded.replace(":", "")
        dotted = str(self.address) if self.address.version == 4 else ".".join(nibbles)
        letters = {
            "s": self.sender,
            "l": local or "postmaster",
            "o": at,
            "d": domain,
            "i": dotted,
            "p": "unknown",
            "v": "in-addr" if self.address.version == 4 else "ip6",
            "h": self.helo,
        }
        return expand(term.value, letters).lower()
