"""The RFC 2136 driver: a zone is read by AXFR and changed by one UPDATE, both signed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.tsig
import dns.xfr
import dns.zone

from mailfleet.dns.plan.ownership import is_list, read_list
from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.dns.providers.base import Refusal, RefusedError
from mailfleet.dns.providers.rfc2136.api import tsig_key
from mailfleet.dns.providers.rfc2136.convert import batches, message
from mailfleet.dns.providers.rfc2136.errors import Peer, explained, failure, refusal
from mailfleet.dns.rrset import RRset, from_rdata
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.secrets import secret

_TIMEOUT = 10.0
_TRANSFER_LIFETIME = 120.0
_THREADS = 32
# A server may serve one of these without the reverse zone that is looked for.
_ROOTS = frozenset({".", "arpa.", "in-addr.arpa.", "ip6.arpa."})

# What the server makes itself. Not DS: that is the delegation's, and the operator's.
_MAINTAINED = frozenset(
    {"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"}
)

_Exact = dict[tuple[str, str], dict[str, list[dns.rdata.Rdata]]]


def tsig_secret(settings: ProviderSettings) -> tuple[str, str]:
    """Name and purpose of the secret that a server's settings name."""
    purpose = f"the TSIG key {settings.key} of the name server {settings.server}"
    return f"tsig-{settings.key}", purpose


def open_rfc2136(settings: ProviderSettings, fleet: Fleet) -> Rfc2136:
    """The driver of a server for a fleet; looks the TSIG secret up."""
    server, name = settings.server or "", settings.key or ""
    found = secret(*tsig_secret(settings), lab=fleet.lab)
    return Rfc2136(Peer(server, settings.port, name), tsig_key(name, found), fleet.name)


class Rfc2136:
    """A primary name server; see `mailfleet.dns.providers.base.Driver`."""

    def __init__(self, peer: Peer, key: dns.tsig.Key, fleet: str) -> None:
        self.label = f"rfc2136 {peer.address}"
        self._peer = peer
        self._key = key
        self._fleet = fleet
        self._zones: dict[str, tuple[Zone, tuple[RRset, ...], _Exact]] = {}

    def read(self, zone: str) -> Zone:
        """The zone by AXFR (RFC 5936)."""
        content = dns.zone.Zone(zone, relativize=False)
        with explained(self._peer, zone, "read"):
            self._transfer(content)
        records, exact = _records(zone, content)
        lists = tuple(r for r in records if r.type == "TXT" and is_list(r.name, zone))
        owned = read_list(zone, self._fleet, records)
        found = Zone(zone, tuple(r for r in records if r not in lists), owned)
        self._zones[zone] = found, lists, exact
        return found

    def _transfer(self, content: dns.zone.Zone) -> None:
        """Fill the zone; twice where the server hangs up, as Knot does on a client that is slow."""
        for last in (False, True):
            query, _ = dns.xfr.make_query(content, keyring=self._key)
            try:
                return dns.query.inbound_xfr(
                    self._peer.server,
                    content,
                    query,
                    port=self._peer.port,
                    timeout=_TIMEOUT,
                    lifetime=_TRANSFER_LIFETIME,
                )
            except EOFError:
                if last:
                    raise
        return None

    def audit(self, plan: Plan) -> tuple[Refusal, ...]:
        """Records outside of the zone, and RRsets that no DNS message can hold."""
        problems = []
        for change in plan.changes:
            name, rtype = change.key
            if name != plan.zone and not name.endswith(f".{plan.zone}"):
                text = f"{name} {rtype} lies outside of the zone {plan.zone}"
                problems.append(Refusal(text, change.key))
            elif change.new and sum(map(len, change.new.values)) > 50_000:
                text = f"{name} {rtype} is too large for a DNS message"
                problems.append(Refusal(text, change.key))
        return tuple(problems)

    def apply(self, plan: Plan) -> None:
        """One UPDATE with prerequisites: all of the plan or, if the zone has changed, nothing."""
        if plan.zone not in self._zones:
            self.read(plan.zone)
        zone, lists, exact = self._zones.pop(plan.zone)
        for batch in batches(plan, zone, lists, self._fleet):
            update = message(plan.zone, batch, exact, self._key)
            with explained(self._peer, plan.zone, "change"):
                # The answer comes after the server has committed (RFC 2136 §3.5).
                answer = dns.query.tcp(
                    update, self._peer.server, timeout=_TIMEOUT, port=self._peer.port
                )
            if answer.rcode() != dns.rcode.NOERROR:
                reason, hint = refusal(answer.rcode(), self._peer, plan.zone)
                told = failure(self._peer, plan.zone, "change", reason, hint)
                # An update is all or nothing, and so is a server's policy about names and types.
                raise RefusedError(told.problem, told.hint)

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The zones in which the server would look the names up, all asked side by side."""
        with ThreadPoolExecutor(_THREADS) as pool:
            zones = list(pool.map(self._find_zone, reverse_names.values()))
        return {a: zone for a, zone in zip(reverse_names, zones, strict=True) if zone is not None}

    def _find_zone(self, name: str) -> str | None:
        """The zone that the server answers from: a query for a name in it brings its SOA."""
        full = dns.name.from_text(name)
        at = full
        while at.to_text() not in _ROOTS:
            # Unsigned: Knot signs no answer about a zone that it does not serve.
            query = dns.message.make_query(at, dns.rdatatype.SOA)
            with explained(self._peer, name, "find the zone of"):
                answer = dns.query.tcp(
                    query, self._peer.server, timeout=_TIMEOUT, port=self._peer.port
                )
            for found in (*answer.answer, *answer.authority):
                # A CNAME at the name brings the SOA of its target (RFC 2317).
                inside = full.is_subdomain(found.name) and found.name.to_text() not in _ROOTS
                if found.rdtype == dns.rdatatype.SOA and inside:
                    return found.name.canonicalize().to_text(omit_final_dot=True)
                if found.rdtype == dns.rdatatype.NS and inside and not answer.answer:
                    return None  # delegated to another server
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return None
            at = at.parent()
        return None


def _records(zone: str, content: dns.zone.Zone) -> tuple[tuple[RRset, ...], _Exact]:
    exact: _Exact = {}
    ttls: dict[tuple[str, str], int] = {}
    for name, rdataset in content.iterate_rdatasets():
        owner = name.canonicalize().to_text(omit_final_dot=True)
        rtype = dns.rdatatype.to_text(rdataset.rdtype)
        if rtype in _MAINTAINED or (rtype == "NS" and owner == zone):
            continue
        ttls[owner, rtype] = rdataset.ttl
        values = exact.setdefault((owner, rtype), {})
        for rdata in rdataset:
            values.setdefault(from_rdata(rdata), []).append(rdata)
    records = tuple(
        RRset(*key, ttls[key], tuple(sorted(values))) for key, values in sorted(exact.items())
    )
    return records, exact
