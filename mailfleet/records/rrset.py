"""DNS record sets as values: canonical, so that two of them are equal when DNS says so.

The unit is the RRset (RFC 2181 §5): all values of a name and type, with one TTL. Values are kept in
presentation form (RFC 1035 §5.1) with absolute, lower-case names. TXT values are compared by their
octets: how a server splits them into strings carries no meaning for SPF (RFC 7208 §3.3), DKIM
(RFC 6376 §3.6.2.2) and DMARC (RFC 9989 §4.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.exception import DNSException
from dns.rdtypes.ANY.TXT import TXT

# RFC 1035 §3.3: a character string holds at most 255 octets.
_STRING = 255


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


def canonical_name(name: str) -> str:
    """`name` in lower case, without a trailing dot."""
    parsed = dns.name.from_text(name).canonicalize()
    return parsed.to_text(omit_final_dot=True)


def canonical_value(rtype: str, value: str) -> str:
    """`value` in the one form that equal values share (RFC 4034 §6.2; TXT by its octets)."""
    if rtype == "TXT":
        return txt(octets(value))
    return _canonical(parse_value(rtype, value)).to_text()


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


def octets(value: str) -> bytes:
    """What a TXT value holds, its strings joined."""
    return b"".join(cast(TXT, parse_value("TXT", value)).strings)


def _canonical(rdata: dns.rdata.Rdata) -> dns.rdata.Rdata:
    wire = rdata.to_digestable(dns.name.root)
    return dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))
