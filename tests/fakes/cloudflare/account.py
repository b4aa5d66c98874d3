"""The state behind the stand-in: zones and records, and what Cloudflare refuses of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import dns.exception
import dns.rdata
from dns.rdtypes.ANY.TXT import TXT

Record = dict[str, Any]

_TIME = "2026-01-01T05:20:00.12345Z"
_MOST_PER_BATCH = 200
_ADDRESS_LIKE = {"A", "AAAA", "CNAME"}
_DATA = {"CAA", "TLSA", "SRV"}
_TYPES = {"A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT", "OPENPGPKEY", *_DATA}
_numbers = itertools.count(1)


class RefusedError(Exception):
    """An answer of the API other than success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def identifier() -> str:
    return f"{next(_numbers):032x}"


@dataclass
class FakeZone:
    """One zone with its records by identifier.

    The real API shows and finds zones by their U-labels alone, and takes records' names in both forms.
    """

    name: str
    type: str = "full"
    status: str = "active"
    paused: bool = False
    permissions: tuple[str, ...] = ("#zone:read", "#dns_records:read", "#dns_records:edit")
    id: str = field(default_factory=identifier)
    records: dict[str, Record] = field(default_factory=dict)
    shows_u_labels: bool = False
    """Whether records' names are shown so, too."""

    def add(self, rtype: str, name: str, content: str = "", **fields: Any) -> Record:
        """A record that somebody made by other means; default: automatic TTL, no comment."""
        given = {"type": rtype, "name": name, "ttl": 1, **fields}
        if content:
            given["content"] = content
        return self.create(given)

    def find(self, rtype: str, name: str) -> list[Record]:
        return [r for r in self.records.values() if (r["type"], r["name"]) == (rtype, name)]

    def contents(self, rtype: str, name: str) -> set[str]:
        return {record["content"] for record in self.find(rtype, name)}

    def create(self, given: Record) -> Record:
        return self._store(identifier(), given)

    def overwrite(self, key: str, given: Record) -> Record:
        self._known(key)
        return self._store(key, given)

    def edit(self, key: str, given: Record) -> Record:
        return self._store(key, {**self._known(key), **given})

    def delete(self, key: str) -> Record:
        self._known(key)
        return self.records.pop(key)

    def batch(self, given: dict[str, list[Record]]) -> dict[str, list[Record]]:
        """All or nothing, in Cloudflare's order."""
        if sum(map(len, given.values())) > _MOST_PER_BATCH:
            raise RefusedError(400, 9207, "too many records in one batch")
        before = copy.deepcopy(self.records)
        steps: dict[str, Callable[[Record], Record]] = {
            "deletes": lambda one: self.delete(one["id"]),
            "patches": lambda one: self.edit(one["id"], one),
            "puts": lambda one: self.overwrite(one["id"], one),
            "posts": self.create,
        }
        try:
            return {
                name: [step(one) for one in given.get(name, [])] for name, step in steps.items()
            }
        except RefusedError:
            self.records = before
            raise

    def _known(self, key: str) -> Record:
        if key not in self.records:
            raise RefusedError(404, 81044, "Record does not exist.")
        return self.records[key]

    def _store(self, key: str, given: Record) -> Record:
        record = self._completed(key, given)
        others = [other for other in self.records.values() if other["id"] != key]
        if any(_identity(other) == _identity(record) for other in others):
            raise RefusedError(400, 81058, "An identical record already exists.")
        same = {other["type"] for other in others if other["name"] == record["name"]}
        alone = same & _ADDRESS_LIKE if record["type"] == "CNAME" else same & {"CNAME"}
        if record["type"] in _ADDRESS_LIKE and alone:
            message = "An A, AAAA, or CNAME record with that host already exists."
            raise RefusedError(400, 81053, message)
        self.records[key] = record
        return record

    def _completed(self, key: str, given: Record) -> Record:
        rtype, name = given["type"], _a_labels(given["name"].lower())
        zone = _a_labels(self.name)
        inside = name == zone or name.endswith(f".{zone}")
        if inside and self.shows_u_labels:
            name = name.removesuffix(zone) + self.name
        if not inside:
            # The real one takes such a name as relative; nobody wants that.
            raise RefusedError(400, 9005, f"{name} lies outside of {self.name}")
        proxiable = rtype in _ADDRESS_LIKE
        if given.get("proxied") and not proxiable:
            raise RefusedError(400, 9004, "This record type cannot be proxied.")
        record = {
            "id": key,
            "name": name,
            "type": rtype,
            "content": _content(rtype, given),
            "ttl": 1 if given.get("proxied") else given["ttl"],
            "proxied": bool(given.get("proxied")),
            "proxiable": proxiable,
            "comment": given.get("comment") or None,
            "tags": given.get("tags", []),
            "settings": given.get("settings", {}),
            "meta": {},
            "created_on": _TIME,
            "modified_on": _TIME,
        }
        if record["comment"] is None:
            del record["comment"]
        record |= {k: given[k] for k in ("data", "priority") if k in given}
        if rtype == "SRV":
            record["priority"] = given["data"]["priority"]
        return record

    def shown(self) -> dict[str, Any]:
        """The zone as `GET /zones` gives it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "paused": self.paused,
            "permissions": list(self.permissions),
            "development_mode": 0,
            "owner": {},
            "account": {"id": "a" * 32, "name": "Shop"},
            "meta": {},
            "plan": {"legacy_id": "free"},
            "name_servers": ["bob.ns.cloudflare.com"],
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "created_on": _TIME,
            "modified_on": _TIME,
            "activated_on": _TIME,
        }


@dataclass
class Account:
    """Everything that one token can reach."""

    token: str = "fake-token-that-nobody-may-see"
    zones: list[FakeZone] = field(default_factory=list)
    largest_page: int = 5000
    """What the server makes of a larger `per_page`."""

    def zone(self, name: str, **fields: Any) -> FakeZone:
        """A new zone."""
        self.zones.append(FakeZone(name, **fields))
        return self.zones[-1]

    def by_id(self, key: str) -> FakeZone:
        for zone in self.zones:
            if zone.id == key:
                return zone
        raise RefusedError(
            404, 7003, "Could not route to the zone, perhaps its identifier is invalid"
        )

    def matching(self, name: str) -> list[FakeZone]:
        """The zones of a name or a filter, in alphabetical order."""
        operator, colon, value = name.partition(":")
        found = sorted(self.zones, key=lambda zone: zone.name)
        if not name:
            return found
        if colon and operator == "ends_with":
            return [zone for zone in found if zone.name.endswith(value)]
        return [zone for zone in found if zone.name == name]


def _a_labels(name: str) -> str:
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode()
        for label in name.split(".")
    )


def _identity(record: Record) -> tuple[Any, ...]:
    return record["name"], record["type"], record["content"], record.get("priority")


def _content(rtype: str, given: Record) -> str:
    if rtype not in _TYPES:
        return str(given.get("content", ""))
    if rtype in _DATA:
        if "data" not in given:
            raise RefusedError(400, 9101, f"{rtype} records need data")
        return _formatted(rtype, given["data"])
    content = str(given.get("content", ""))
    if not content:
        raise RefusedError(400, 9009, "Content for the record is missing.")
    try:
        _check(rtype, content)
    except ValueError:
        raise RefusedError(400, 9005, f"Content for {rtype} record is invalid.") from None
    if rtype in {"MX", "CNAME", "NS", "PTR"}:
        return content.lower().removesuffix(".") or "."
    return content


def _check(rtype: str, content: str) -> None:
    if rtype == "A":
        IPv4Address(content)
    elif rtype == "AAAA":
        IPv6Address(content)
    elif rtype == "TXT" and content.startswith('"'):
        try:
            parsed = dns.rdata.from_text("IN", "TXT", content)
        except dns.exception.DNSException as error:
            raise ValueError from error
        assert isinstance(parsed, TXT)
        if sum(len(part) + 1 for part in parsed.strings) > 4096 or parsed.strings == (b"",):
            raise ValueError


def _formatted(rtype: str, data: dict[str, Any]) -> str:
    if rtype == "CAA":
        return f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    if rtype == "TLSA":
        numbers = f"{data['usage']} {data['selector']} {data['matching_type']}"
        return f"{numbers} {data['certificate']}"
    return f"{data['weight']} {data['port']} {data['target']}"
