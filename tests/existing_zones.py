"""Zones as they are found: odd records that others keep, which no driver may trip over.

Most are taken from reports about DNS tools that failed on them. Each must stay as it is, and hold
nothing back but what needs the name that it stands at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailfleet.dns.providers.base import Driver, Provider
from mailfleet.dns.publish.prepare import Publication, PublishError, prepare, publish
from mailfleet.dns.records.dkim import DkimPublicKey, HostDkimKeys
from mailfleet.dns.rrset import RRset, txt
from mailfleet.model import Fleet
from tests.builders import fleet_of

Key = tuple[str, str]
Add = Callable[[str, int, str, Sequence[str]], None]
"""Makes a foreign record set: name relative to the zone ("" for its own), TTL, type and values."""

_DNS = {"provider": "rfc2136", "server": "192.0.2.53", "key": "k"}
SELECTOR = "mta1-eu-2026q4._domainkey"
_P = "QUJD" * 85
_KEY = f"v=DKIM1; k=rsa; p={_P}"


@dataclass(frozen=True)
class Existing:
    """What stands in a zone before the first push."""

    name: str
    records: tuple[tuple[str, int, str, tuple[str, ...]], ...]
    left: frozenset[Key] = frozenset()
    """What of ours has to wait, by relative name and type."""
    right: frozenset[Key] = frozenset()
    """What of ours others keep as it should be."""
    answers: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    """What a resolver says."""

    @property
    def types(self) -> frozenset[str]:
        return frozenset(rtype for _, _, rtype, _ in self.records)


def _one(name: str, rtype: str, *values: str, ttl: int = 300) -> tuple[Any, ...]:
    return name, ttl, rtype, values


ZONES = (
    Existing("nothing", ()),
    Existing(
        "a selector that is an alias of the right key",
        (_one(SELECTOR, "CNAME", "key.host.example."),),
        right=frozenset({(SELECTOR, "TXT")}),
        answers={(SELECTOR, "TXT"): (txt(_KEY),)},
    ),
    Existing(
        "a selector that is an alias of a former key",
        (_one(SELECTOR, "CNAME", "key.host.example."),),
        left=frozenset({(SELECTOR, "TXT")}),
        answers={(SELECTOR, "TXT"): (txt("v=DKIM1; p=QQ=="),)},
    ),
    Existing(
        "an alias that leads nowhere",
        (_one("_smtp._tls", "CNAME", "gone.host.example."),),
        left=frozenset({("_smtp._tls", "TXT")}),
    ),
    Existing(
        "a policy that is an alias of a service's",
        (_one("_dmarc", "CNAME", "_dmarc.reports.example."),),
        left=frozenset({("_dmarc", "TXT")}),
        answers={("_dmarc", "TXT"): (txt("v=DMARC1; p=none; rua=mailto:a@reports.example"),)},
    ),
    Existing("an alias for everything", (_one("*", "CNAME", "shop.host.example."),)),
    Existing(
        "mail servers and texts for everything",
        (_one("*", "MX", "10 mx.host.example."), _one("*", "TXT", '"v=spf1 -all"')),
    ),
    Existing(
        "texts in strings of any length",
        (
            _one(
                SELECTOR,
                "TXT",
                f'"v=DKIM1; " "k=rsa" "; p={_P[:100]}" "{_P[100:101]}" "{_P[101:]}"',
            ),
        ),
        right=frozenset({(SELECTOR, "TXT")}),
    ),
    Existing(
        "texts beside ours",
        (
            _one(
                "",
                "TXT",
                '"google-site-verification=abc; x"',
                '"MS=ms1"',
                '"spf2.0/pra -all"',
                ttl=77,
            ),
        ),
    ),
    Existing(
        "two SPF records",
        (_one("", "TXT", '"v=spf1 -all"', '"v=spf1 include:x.example ~all"'),),
        left=frozenset({("", "TXT")}),
    ),
    Existing(
        "mail servers of another company",
        (_one("", "MX", "1 aspmx.host.example.", "5 alt.host.example."),),
        left=frozenset({("", "MX"), ("_mta-sts", "TXT")}),
    ),
    Existing(
        "a host name that is somebody else's address",
        (_one("mta1.eu", "A", "192.0.2.99"),),
        left=frozenset(
            {("mta1.eu", "A"), ("mta1.eu", "TXT"), ("", "MX"), ("bounce", "MX")}
            | {("mta1.eu", "MX"), ("orders.mta1.eu", "MX")}
            | {("_mta-sts", "TXT"), ("_mta-sts.bounce", "TXT")}
        ),
    ),
    Existing(
        "our own addresses, made by hand",
        (_one("mta1.eu", "A", "203.0.113.1"), _one("orders.mta1.eu", "A", "203.0.113.2")),
        right=frozenset({("mta1.eu", "A"), ("orders.mta1.eu", "A")}),
    ),
    Existing(
        "names in capitals",
        (_one("MTA1.EU", "A", "203.0.113.1"), _one("WWW", "CNAME", "Shop.Host.EXAMPLE.")),
        right=frozenset({("mta1.eu", "A")}),
    ),
    Existing(
        "a delegated part with its chain of trust",
        (
            _one("lab", "NS", "ns1.host.example.", "ns2.host.example."),
            _one("lab", "DS", f"1 13 2 {'AB' * 32}"),
        ),
    ),
    Existing(
        "a delegation above names of ours",
        (_one("eu", "NS", "ns1.host.example."),),
        left=frozenset(
            {("mta1.eu", "A"), ("mta1.eu", "TXT"), ("orders.mta1.eu", "A")}
            | {("mta1.eu", "MX"), ("orders.mta1.eu", "MX")}
            | {("orders.mta1.eu", "TXT"), ("", "MX"), ("bounce", "MX")}
            | {("_mta-sts", "TXT"), ("_mta-sts.bounce", "TXT")}
        ),
    ),
    Existing(
        "a tree that was moved elsewhere",
        (_one("_domainkey", "DNAME", "keys.host.example."),),
        right=frozenset({(SELECTOR, "TXT")}),
        answers={(SELECTOR, "TXT"): (txt(_KEY),)},
    ),
    Existing("services", (_one("_sip._tcp", "SRV", "1 2 5060 sip.host.example."),)),
    Existing(
        "an issuer for all",
        (_one("", "CAA", '0 issue "ca.example"', '0 iodef "mailto:x@y.example"'),),
    ),
    Existing(
        "types of the web",
        (
            _one("www", "HTTPS", '1 . alpn="h2" ipv4hint="192.0.2.1"'),
            _one("_dns", "SVCB", "1 d.example."),
        ),
    ),
    Existing(
        "rare types",
        (
            _one("loc", "LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
            _one("ssh", "SSHFP", f"1 2 {'AB' * 32}"),
            _one("enum", "NAPTR", '100 10 "u" "sip+E2U" "!^.*$!sip:a@b.example!" .'),
            _one("own", "TYPE65280", r"\# 4 0A000001"),
        ),
    ),
    Existing("an international name", (_one("xn--bcher-kva", "A", "192.0.2.7"),)),
    Existing(
        "texts with any octets",
        (_one("any", "TXT", r'"\195\188 \"quoted\" back\\slash \000"', '""'),),
    ),
    Existing("a name with a dot in a label", (_one(r"a\.b", "A", "192.0.2.8"),)),
    Existing(
        "very many texts",
        (_one("many", "TXT", *(f'"verification-{n}={"x" * 60}"' for n in range(45))),),
    ),
    Existing("a TTL of none", (_one("fast", "A", "192.0.2.9", ttl=0),)),
)


def fleet(zone: str) -> Fleet:
    """One host that sends and receives for the zone's own name."""
    addresses = {"addresses": ["203.0.113.1"], "streams": {"orders": ["203.0.113.2"]}}
    table: dict[str, Any] = {
        "dns": _DNS,
        "ttl": 300,
        "dkim": {"period": "2026q4"},
        "mta_sts": {"mode": "testing"},
        "tls_rpt": {"reports": [f"tls@{zone}"]},
        "streams": {"orders": {"logins": ["app"]}},
    }
    return fleet_of({f"mta1.eu.{zone}": addresses}, {zone: table})


def check(zone: str, existing: Existing, opened: Callable[[], Driver[Any]], add: Add) -> None:
    """Push over what is there, and again: nothing foreign changes, nothing waits without need."""
    for record in existing.records:
        add(*record)
    keys = {f"mta1.eu.{zone}": HostDkimKeys((DkimPublicKey(zone, "mta1-eu-2026q4", _P),), True)}
    answers = {(f"{name}.{zone}", rtype): v for (name, rtype), v in existing.answers.items()}

    def lookup(name: str, rtype: str) -> tuple[str, ...]:
        return answers.get((name, rtype), ())

    before = _content(opened(), zone)
    assert len(before) >= len(existing.records)
    one = fleet(zone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mailfleet.dns.publish.providers.open_provider", lambda *_: Provider(opened())
        )
        made = prepare(one, keys, lookup=lookup)
        assert made.unread == ()
        states, text = _published(made)
        assert states == ({"partial"} if existing.left else {"done"}), text
        again = prepare(one, keys, lookup=lookup)
    after = _content(opened(), zone)
    for key, found in before.items():
        assert set(found.values) <= set(after[key].values), key
        assert after[key].ttl == found.ttl, key
    wanted = {key for entry in made.zones for key in entry.wanted}
    left, right = (_absolute(names, zone) for names in (existing.left, existing.right))
    assert wanted - after.keys() <= left | right
    changed = {key for key in wanted if key in after and after[key] != before.get(key)}
    assert changed == wanted - left - right
    assert again.is_empty
    assert bool(again.problems) == bool(existing.left)


def _published(made: Publication) -> tuple[set[str], str]:
    try:
        return {outcome.state for outcome in publish(made, pause=lambda _: None)}, ""
    except PublishError as error:
        return {outcome.state for outcome in error.outcome}, str(error)


def _content(driver: Driver[Any], zone: str) -> dict[Key, RRset]:
    return {record.key: record for record in driver.read(zone).records}


def _absolute(names: frozenset[Key], zone: str) -> set[Key]:
    return {(f"{name}.{zone}" if name else zone, rtype) for name, rtype in names}


def fitting(types: frozenset[str], *but: str) -> list[Any]:
    """The zones that a provider with these types can hold, each a parameter of a test."""
    return [
        pytest.param(one, id=one.name)
        for one in ZONES
        if one.types <= types and one.name not in but
    ]
