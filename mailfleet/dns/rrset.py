"""DNS record sets as values: canonical, so that two of them are equal when DNS says so.

The unit is the RRset (RFC 2181 §5): all values of a name and type, with one TTL. Values are kept in
presentation form (RFC 1035 §5.1) with absolute, lower-case names. TXT values are compared by their
octets: how a server splits them into strings carries no meaning for SPF (RFC 7208 §3.3), DKIM
(RFC 6376 §3.6.2.2) and DMARC (RFC 9989 §4.7).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import idna
from dns.exception import DNSException
from dns.rdtypes.ANY.TXT import TXT

# RFC 1035 §3.3: a character string holds at most 255 octets.
_STRING = 255
# Names and values come by several times in one run, and parsing is what a large fleet waits for.
_KNOWN = 1 << 17
# Forms that are canonical as they stand; everything else goes through dnspython.
_PLAIN_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_PLAIN_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
# Not "::..." nor "0:0:...", in which an IPv4 address may stand, in two forms.
_PLAIN_IPV6 = re.compile(r"[1-9a-f][0-9a-f]{0,3}:[0-9a-f:]+")
_NAMES = frozenset({"CNAME", "DNAME", "NS", "PTR"})
# Types whose values end in a name.
_NAMING = _NAMES | {"MX", "SRV"}


@dataclass(frozen=True, order=True)
class RRset:
    """All values of one name and type. Make it with `rrset`, which makes the values canonical."""

    name: str
    """Lower case, without a trailing dot."""
    type: str
    ttl: int
    values: tuple[str, ...]
    """Canonical presentation form, sorted, each once."""

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.type


def rrset(name: str, rtype: str, ttl: int, *values: str) -> RRset:
    """The RRset of these values, given in any valid presentation form.

    Raises ValueError for a value that its type does not allow.
    """
    kind = rtype.upper()
    canonical = tuple(sorted({canonical_value(kind, value) for value in values}))
    return RRset(canonical_name(name), kind, ttl, canonical)


@lru_cache(_KNOWN)
def canonical_name(name: str) -> str:
    """`name` in lower case with A-labels, without a trailing dot. DNSException for no name."""
    if _PLAIN_NAME.fullmatch(name):
        return name.removesuffix(".")
    return _parsed(name).canonicalize().to_text(omit_final_dot=True)


def enclosing(name: str, zones: Collection[str]) -> str | None:
    """The longest of `zones` that `name` lies in, both canonical; None: in none of them."""
    while name and name not in zones:
        name = name.partition(".")[2]
    return name or None


def u_labels(name: str) -> str:
    """A canonical name as people write it: `xn--bcher-kva.example` is `bücher.example`."""
    return ".".join(_u_label(label) for label in name.split("."))


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except UnicodeError:
        pass
    try:
        return label.removeprefix("xn--").encode().decode("punycode")
    except UnicodeError:
        return label


def _parsed(name: str) -> dns.name.Name:
    """The name with A-labels (RFC 5891), as the model makes them of U-labels.

    Others' zones also hold names that RFC 5891 forbids, such as signs, which old software allowed.
    """
    for codec in (dns.name.IDNA_2008_UTS_46, dns.name.IDNA_2003):
        try:
            return dns.name.from_text(name, idna_codec=codec)
        except (dns.name.IDNAException, UnicodeError):
            continue
    labels = (
        label if label.isascii() else "xn--" + label.lower().encode("punycode").decode()
        for label in name.split(".")
    )
    return dns.name.from_text(".".join(labels))


@lru_cache(_KNOWN)
def canonical_value(rtype: str, value: str) -> str:
    """`value` in the one form that equal values share (RFC 4034 §6.2; TXT by its octets)."""
    if rtype == "TXT":
        return txt(octets(value))
    if not value.isascii() and rtype in _NAMING:
        rest, blank, name = value.rpartition(" ")
        try:
            value = f"{rest}{blank}{canonical_name(name)}."
        except DNSException as error:
            raise ValueError(f"{value!r} is no {rtype} value: {error}") from None
    if (plain := _plain_value(rtype, value)) is not None:
        return plain
    return _canonical(parse_value(rtype, value)).to_text()


def _plain_value(rtype: str, value: str) -> str | None:
    """The canonical form where the value is nearly in it; None where it must be parsed."""
    try:
        if rtype == "A" and _PLAIN_IPV4.fullmatch(value):
            return str(IPv4Address(value))
        if rtype == "AAAA" and _PLAIN_IPV6.fullmatch(value):
            return str(IPv6Address(value))
    except ValueError:
        return None
    absolute = rtype in _NAMES and value.endswith(".") and _PLAIN_NAME.fullmatch(value)
    return value if absolute else None


def parse_value(rtype: str, value: str) -> dns.rdata.Rdata:
    """dnspython's form of a value; relative names count as absolute."""
    try:
        kind = dns.rdatatype.from_text(rtype)
        return dns.rdata.from_text(
            dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False
        )
    except DNSException as error:
        raise ValueError(f"{value!r} is no {rtype} value: {error}") from None


def from_rdata(rdata: dns.rdata.Rdata) -> str:
    """The canonical value of what a server sent."""
    if isinstance(rdata, TXT):
        return txt(b"".join(rdata.strings))
    return _canonical(rdata).to_text()


def txt(content: bytes | str) -> str:
    """The TXT value that holds `content`: quoted strings of at most 255 octets each."""
    raw = content.encode() if isinstance(content, str) else content
    strings = [raw[at : at + _STRING] for at in range(0, len(raw), _STRING)] or [b""]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings).to_text()


@lru_cache(_KNOWN)
def octets(value: str) -> bytes:
    """What a TXT value holds, its strings joined."""
    return b"".join(cast(TXT, parse_value("TXT", value)).strings)


def _canonical(rdata: dns.rdata.Rdata) -> dns.rdata.Rdata:
    wire = rdata.to_digestable(dns.name.root)
    return dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))
