"""One DNS value as Cloudflare's API has it: as `content`, or taken apart as `data`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dns.rdata
from dns.exception import DNSException

from mailfleet.dns.rrset import canonical_name, canonical_value, parse_value, txt

Fields = Mapping[str, Any]

_NAMES = frozenset({"CNAME", "NS", "PTR"})
PROXIABLE = frozenset({"A", "AAAA", "CNAME"})


def _caa(rdata: Any) -> dict[str, Any]:
    return {"flags": rdata.flags, "tag": rdata.tag.decode(), "value": rdata.value.decode()}


def _tlsa(rdata: Any) -> dict[str, Any]:
    return {
        "usage": rdata.usage,
        "selector": rdata.selector,
        "matching_type": rdata.mtype,
        "certificate": rdata.cert.hex(),
    }


def _srv(rdata: Any) -> dict[str, Any]:
    return {
        "priority": rdata.priority,
        "weight": rdata.weight,
        "port": rdata.port,
        "target": _bare(rdata.target.to_text()),
    }


_DATA: dict[str, Callable[[Any], dict[str, Any]]] = {"CAA": _caa, "TLSA": _tlsa, "SRV": _srv}

WRITABLE = frozenset({"A", "AAAA", "MX", "TXT", *_NAMES, *_DATA})
"""The types that `fields_of` knows."""


def fields_of(rtype: str, value: str) -> dict[str, Any]:
    """The fields of a record that hold a canonical value of one of the writable types."""
    if rtype in _DATA:
        rdata: dns.rdata.Rdata = parse_value(rtype, value)
        return {"data": _DATA[rtype](rdata)}
    if rtype == "MX":
        preference, _, host = value.partition(" ")
        return {"priority": int(preference), "content": _bare(host)}
    return {"content": _bare(value) if rtype in _NAMES else value}


def known_name(name: str) -> str:
    """A name of the API's, which shows U-labels, as names are kept; one that is none as it stands."""
    try:
        return canonical_name(name)
    except DNSException:
        return name.lower()


def value_of(record: Fields) -> str:
    """The canonical value of a record that the API gave; what cannot be parsed stays as it is."""
    rtype, content = str(record["type"]), str(record.get("content") or "")
    if rtype == "TXT":
        return _text(content)
    try:
        return canonical_value(rtype, _presentation(rtype, content, record))
    except ValueError:
        # Of a type that dnspython does not know: always somebody else's.
        return content


def _presentation(rtype: str, content: str, record: Fields) -> str:
    data = record.get("data") or {}
    if rtype in _NAMES:
        return _absolute(content)
    if rtype == "MX":
        return f"{int(record.get('priority') or 0)} {_absolute(content)}"
    if not data:
        return content
    # Numbers come back as floats.
    if rtype == "SRV":
        numbers = " ".join(str(int(data[key])) for key in ("priority", "weight", "port"))
        return f"{numbers} {_absolute(str(data['target']))}"
    if rtype == "TLSA":
        numbers = " ".join(str(int(data[key])) for key in ("usage", "selector", "matching_type"))
        return f"{numbers} {data['certificate']}"
    if rtype == "CAA":
        return f"{int(data['flags'])} {data['tag']} {txt(str(data['value']))}"
    return content


def _text(content: str) -> str:
    """Quoted strings are parsed; anything else is the text itself, a `;` in it included."""
    if len(content) >= 2 and content.startswith('"') and content.endswith('"'):
        try:
            return canonical_value("TXT", content)
        except ValueError:
            pass
    return txt(content)


def _absolute(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _bare(name: str) -> str:
    return name.removesuffix(".") or "."
