"""A Hetzner project in memory: zones, RRsets, IPs, and the actions that changes to them start."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import dns.exception
import dns.name
import dns.rdata

from tests.fakes.hetzner.faults import ApiError
from tests.fakes.hetzner.objects import NOW, action, zone

Json = dict[str, Any]
RRsets = dict[tuple[str, str], Json]


class Project:
    """State, and what the API's verbs do to it."""

    def __init__(self) -> None:
        self.zones: dict[str, Json] = {}
        self.rrsets: dict[str, RRsets] = {}
        self.servers: list[Json] = []
        self.primary_ips: list[Json] = []
        self.floating_ips: list[Json] = []
        self.actions: dict[int, Json] = {}
        self.rounds = 1
        """How often an action is asked for until it is finished."""
        self.failing = 0
        """How many of the next actions fail; what they changed is undone."""
        self.locking = False
        """Whether an RRset is locked while an action on it is running."""
        self._numbers = itertools.count(1)
        self._left: dict[int, int] = {}
        self._undo: dict[int, tuple[str, tuple[str, str], Json | None]] = {}

    def add_zone(self, name: str, ttl: int = 3600, mode: str = "primary") -> RRsets:
        """A zone as Hetzner makes it: with SOA and NS."""
        self.zones[name] = zone(next(self._numbers), name, ttl, mode)
        self.rrsets[name] = {}
        soa = "hydrogen.ns.hetzner.com. dns.hetzner.com. 1 86400 10800 3600000 3600"
        self.put(name, "@", "SOA", None, soa)
        self.put(name, "@", "NS", None, "hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.")
        return self.rrsets[name]

    def put(self, zone: str, name: str, rtype: str, ttl: int | None, *values: str) -> None:
        """Somebody else's RRset; no action, no check."""
        records = [{"value": value, "comment": ""} for value in values]
        self.rrsets[zone][name, rtype] = self._rrset(zone, name, rtype, ttl, {}, records)

    def add_value(self, zone: str, name: str, rtype: str, value: str) -> None:
        """Somebody else's value in an RRset."""
        entry = self.rrsets[zone].get((name, rtype))
        if entry is None:
            self.put(zone, name, rtype, 300, value)
        else:
            entry["records"].append({"value": value, "comment": ""})

    def zone(self, name: str) -> Json:
        found = [z for z in self.zones.values() if name in (z["name"], str(z["id"]))]
        if not found:
            raise ApiError(404, "not_found", "zone not found")
        return found[0]

    def rrset(self, zone: str, name: str, rtype: str) -> Json:
        found = self.rrsets[self.primary(zone)].get((name, rtype))
        if found is None:
            raise ApiError(404, "not_found", "rrset not found")
        return found

    def primary(self, zone: str) -> str:
        found = self.zone(zone)
        if found["mode"] != "primary":
            raise ApiError(422, "incorrect_zone_mode", "not in secondary mode")
        return str(found["name"])

    def create(self, zone: str, body: Json) -> Json:
        zone, key = self.primary(zone), (body["name"], body["type"])
        rrsets = self.rrsets[zone]
        if key in rrsets:
            raise ApiError(409, "uniqueness_error", "RRSet already exists", "name")
        self._check_name(zone, key)
        records = self._records(key[1], body["records"])
        started = self._start(zone, key, "create_rrset")
        ttl, labels = body.get("ttl"), body.get("labels", {})
        rrsets[key] = self._rrset(zone, *key, ttl, labels, records)
        return {"rrset": rrsets[key], "action": started}

    def label(self, zone: str, name: str, rtype: str, body: Json) -> Json:
        found = self.rrset(zone, name, rtype)
        found["labels"] = body["labels"]
        return {"rrset": found}

    def delete(self, zone: str, name: str, rtype: str) -> Json:
        self._writable(zone, name, rtype)
        name_ = self.primary(zone)
        started = self._start(name_, (name, rtype), "delete_rrset")
        del self.rrsets[name_][name, rtype]
        return {"action": started}

    def change(self, zone: str, name: str, rtype: str, verb: str, body: Json) -> Json:
        """The verbs under /actions/."""
        zone, key = self.primary(zone), (name, rtype)
        if verb == "add_records" and key not in self.rrsets[zone]:
            created = {"name": name, "type": rtype, **body}
            return {"action": self.create(zone, created)["action"]}
        found = self._writable(zone, *key)
        before = copy.deepcopy(found)
        have = {record["value"]: record for record in found["records"]}
        sent = self._records(rtype, body["records"]) if "records" in body else []
        match verb:
            case "set_records":
                found["records"] = sent
            case "add_records":
                if any(record["value"] in have for record in sent):
                    raise ApiError(422, "invalid_input", "duplicate value", "records")
                found["records"] = [*found["records"], *sent]
            case "remove_records" | "update_records":
                if any(record["value"] not in have for record in sent):
                    raise ApiError(422, "invalid_input", "record does not exist", "records")
                if verb == "update_records":
                    have |= {record["value"]: record for record in sent}
                else:
                    have = {v: r for v, r in have.items() if v not in {r["value"] for r in sent}}
                found["records"] = list(have.values())
            case "change_ttl":
                found["ttl"] = body["ttl"]
        started = self._start(zone, key, f"{verb}_rrset", before)
        if not found["records"]:
            del self.rrsets[zone][key]
        return {"action": started}

    def change_pointer(self, kind: str, number: int, body: Json) -> Json:
        entries = [e for e in getattr(self, kind) if e["id"] == number]
        if not entries:
            raise ApiError(404, "not_found", f"{kind} not found")
        started = self._start("", ("", ""), "change_dns_ptr")
        net = entries[0].get("public_net")
        if net and body["ip"] == net["ipv4"]["ip"]:
            net["ipv4"]["dns_ptr"] = body["dns_ptr"] or "static.clients.your-server.de"
            return {"action": started}
        names = net["ipv6"]["dns_ptr"] if net else entries[0]["dns_ptr"]
        names[:] = [entry for entry in names if entry["ip"] != body["ip"]]
        if body["dns_ptr"] is not None:
            names.append({"ip": body["ip"], "dns_ptr": body["dns_ptr"]})
        return {"action": started}

    def poll(self, numbers: list[int]) -> Json:
        """The actions, one step further."""
        for number in numbers:
            if number in self._left:
                self._left[number] -= 1
                if self._left[number] < 1:
                    self._finish(number)
        return {"actions": [self.actions[n] for n in numbers if n in self.actions]}

    def running(self, zone: str) -> list[Json]:
        name = self.zone(zone)["name"]
        return [self.actions[n] for n in self._left if self._undo[n][0] == name]

    def _writable(self, zone: str, name: str, rtype: str) -> Json:
        found = self.rrset(zone, name, rtype)
        if found["protection"]["change"]:
            raise ApiError(423, "protected", "RRSet is change protected")
        key = (self.primary(zone), (name, rtype))
        if self.locking and any(self._undo[n][:2] == key for n in self._left):
            raise ApiError(423, "locked", "an action is running")
        return found

    def _start(
        self, zone: str, key: tuple[str, str], command: str, before: Json | None = None
    ) -> Json:
        number = next(self._numbers)
        if before is None and zone:
            before = copy.deepcopy(self.rrsets[zone].get(key))
        self._left[number] = self.rounds
        self._undo[number] = zone, key, before
        self.actions[number] = action(number, command)
        return copy.deepcopy(self.actions[number])

    def _finish(self, number: int) -> None:
        del self._left[number]
        found = self.actions[number]
        found |= {"status": "success", "progress": 100, "finished": NOW}
        if self.failing:
            self.failing -= 1
            found["status"] = "error"
            found["error"] = {"code": "action_failed", "message": "Action failed"}
            zone, key, before = self._undo[number]
            if zone:
                self.rrsets[zone].pop(key, None)
                if before is not None:
                    self.rrsets[zone][key] = before

    def _rrset(
        self, zone: str, name: str, rtype: str, ttl: int | None, labels: Json, records: list[Json]
    ) -> Json:
        return {
            "id": f"{name}/{rtype}",
            "name": name,
            "type": rtype,
            "ttl": ttl,
            "labels": labels,
            "protection": {"change": False},
            "records": records,
            "zone": self.zones[zone]["id"],
        }

    def _check_name(self, zone: str, key: tuple[str, str]) -> None:
        name, rtype = key
        if name != name.lower() or name.endswith((".", f".{zone}")) or name == zone:
            raise ApiError(422, "invalid_input", "invalid name", "name")
        others = {r for n, r in self.rrsets[zone] if n == name}
        if others and (rtype == "CNAME" or "CNAME" in others):
            raise ApiError(422, "invalid_input", "CNAME beside other records", "type")

    def _records(self, rtype: str, records: list[Json]) -> list[Json]:
        """As they are stored; values must be in presentation form and distinct."""
        values = [record["value"] for record in records]
        if not values or len(set(values)) != len(values):
            raise ApiError(422, "invalid_input", "must be distinct and not empty", "records")
        for value in values:
            try:
                dns.rdata.from_text(
                    "IN", rtype, value, origin=dns.name.root, relativize=False
                ).to_digestable()
            except dns.exception.DNSException as error:
                raise ApiError(422, "invalid_input", str(error), "records[0].value") from None
            if rtype == "TXT" and not value.startswith('"'):
                raise ApiError(422, "invalid_input", "not quoted", "records[0].value")
        return [{"value": r["value"], "comment": r.get("comment", "")} for r in records]
