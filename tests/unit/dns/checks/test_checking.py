"""What `dns check` finds: each fault once, with what to do; and nothing in a fleet that is right."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailfleet.dns.checks import addresses, dane, dkim, dmarc, dnssec, domains, run, spf
from mailfleet.dns.checks.finding import Finding, Scope
from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.query.resolver import Answer, Resolver
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import DkimPublicKey, HostDkimKeys
from mailfleet.dns.records.ptr import ptr_records
from mailfleet.dns.rrset import txt
from mailfleet.model import Fleet, HostEntry, build_fleet

pytestmark = pytest.mark.unit

HOST = "mta1.eu.shop.example"
Zone = dict[tuple[str, str], tuple[str, ...]]


def _p(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


GOOD = _p(rsa.generate_private_key(public_exponent=65537, key_size=2048))
OTHER = _p(rsa.generate_private_key(public_exponent=65537, key_size=2048))
SHORT = _p(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505
CURVE = _p(ec.generate_private_key(ec.SECP256R1()))
KEY = DkimPublicKey("shop.example", "mta1-eu-1", GOOD)
CERTIFICATES = {HOST: ("ab" * 32,)}
TLSA = f"_25._tcp.{HOST}"


class Fixed:
    """A resolver that knows what it is told."""

    label = "the resolver"

    def __init__(self, zone: Zone, authentic: bool = True) -> None:
        self.zone = zone
        self.authentic = authentic
        self.bogus = False

    def __call__(self, name: str, rtype: str) -> tuple[str, ...]:
        return self.ask(name, rtype).values

    def ask(self, name: str, rtype: str) -> Answer:
        if self.bogus:
            raise LookupFailedError("SERVFAIL")
        return Answer(self.zone.get((name, rtype), ()), self.authentic)

    def is_bogus(self, _: str) -> bool:
        return self.bogus


def fleet() -> Fleet:
    shop: dict[str, Any] = {
        "streams": {"orders": {"logins": ["shop"]}},
        "dmarc": {"policy": "reject", "reports": ["d@reports.example"]},
    }
    host = {"addresses": ["203.0.113.1"], "streams": {"orders": ["203.0.113.2", "2001:db8::2"]}}
    files = {"shop.example": ("dns/shop.example.toml", shop)}
    return build_fleet(
        "inventories/prod",
        [HostEntry("eu", HOST, host)],
        {"domains": ["shop.example"]},
        files,
        [],
    )


def right() -> Zone:
    desired = records(fleet(), [KEY], certificates=CERTIFICATES, signed=["shop.example"])
    zone = {r.key: r.values for records_ in desired.values() for r in records_}
    zone |= {r.rrset.key: r.rrset.values for r in ptr_records(fleet()).values()}
    accepted = ("shop.example._report._dmarc.reports.example", "TXT")
    soa = ("ns. hostmaster. 1 2 3 4 5",)
    return {**zone, accepted: (txt("v=DMARC1;"),), ("shop.example", "SOA"): soa}


def scope(zone: Zone) -> Scope:
    one = fleet()
    keys = {HOST: HostDkimKeys((KEY,), True)}
    resolver = cast(Resolver, Fixed(zone))
    desired = records(one, [KEY], certificates=CERTIFICATES, signed=["shop.example"])
    return Scope(one, desired, keys, [resolver], None, CERTIFICATES, ["shop.example"])


def findings(zone: Zone) -> list[Finding]:
    checked = scope(zone)
    kinds = (addresses, spf, dkim, dmarc, domains, dane)
    return sorted({f for kind in kinds for task in kind.tasks(checked) for f in task()})


def test_a_fleet_that_is_right() -> None:
    assert findings(right()) == []
    assert list(dkim.missing_keys(scope(right()))) == []


def without(*keys: tuple[str, str]) -> Callable[[Zone], Zone]:
    return lambda zone: {key: value for key, value in zone.items() if key not in keys}


def having(name: str, rtype: str, *values: str) -> Callable[[Zone], Zone]:
    return lambda zone: {**zone, (name, rtype): values}


POINTER = "2.113.0.203.in-addr.arpa"
ORDERS = f"orders.{HOST}"
SELECTOR = "mta1-eu-1._domainkey.shop.example"
FAULTS: list[tuple[Callable[[Zone], Zone], str, str, str]] = [
    (
        without((POINTER, "PTR")),
        "203.0.113.2",
        f"has no PTR record, and needs PTR {ORDERS}",
        f"{POINTER}. PTR {ORDERS}.",
    ),
    (
        having(POINTER, "PTR", f"{ORDERS}.", "static.hoster.example."),
        "203.0.113.2",
        "static.hoster.example.",
        "ask the company",
    ),
    (
        having(ORDERS, "A", "203.0.113.99"),
        "203.0.113.2",
        "not this address",
        "mailfleet dns push inventories/prod",
    ),
    (
        having("shop.example", "TXT", txt("v=spf1 ip4:203.0.113.2 -all")),
        "2001:db8::2",
        "SPF of shop.example says fail",
        "publish it",
    ),
    (
        having("shop.example", "TXT", txt("v=spf1 +all")),
        "shop.example",
        "says pass to the stranger 240.0.0.1",
        "if an include lets everybody in",
    ),
    (
        having(
            "shop.example",
            "TXT",
            txt("v=spf1 ip4:203.0.113.2 ip6:2001:db8::2 " + "exists:%{i}.x.example " * 11 + "-all"),
        ),
        "shop.example",
        "needs 11 look-ups",
        "shorten includes",
    ),
    (without((TLSA, "TLSA")), TLSA, "has no TLSA record", "publish it"),
    (
        having(TLSA, "TLSA", "3 1 1 " + "cd" * 32, "2 1 1 " + "ab" * 32),
        TLSA,
        "is of the key of the host's certificate, so senders with DANE keep their mail",
        "publish it",
    ),
    (without((SELECTOR, "TXT")), SELECTOR, "has no key", "publish it"),
    (having(SELECTOR, "TXT", txt(f"p={OTHER}")), SELECTOR, "not the public half", "publish it"),
    (
        without(("_dmarc.shop.example", "TXT")),
        "_dmarc.shop.example",
        "has no DMARC record",
        "publish it",
    ),
    (
        having("_dmarc.shop.example", "TXT", txt("v=DMARC1; p=none")),
        "_dmarc.shop.example",
        "says p=none, not reject",
        "publish it",
    ),
    (
        having("_dmarc.shop.example", "TXT", txt("v=DMARC1; p=reject"), txt("v=DMARC1; p=none")),
        "_dmarc.shop.example",
        "has 2 DMARC records",
        "publish it",
    ),
    (
        without(("shop.example._report._dmarc.reports.example", "TXT")),
        "_dmarc.shop.example",
        "its reports go to reports.example, which does not accept them",
        'shop.example._report._dmarc.reports.example. TXT "v=DMARC1;"',
    ),
    (without(("shop.example", "SOA")), "shop.example", "has no SOA", "delegate shop.example"),
    (
        without(("bounce.shop.example", "MX")),
        "bounce.shop.example",
        "has neither MX nor address",
        "publish it",
    ),
    (having("shop.example", "MX", "0 ."), "shop.example", "has a null MX", "publish it"),
    (
        having("shop.example", "MX", "10 mx.gone.example."),
        "shop.example",
        "its MX mx.gone.example has no address",
        "correct mx",
    ),
]


@pytest.mark.parametrize(("change", "subject", "problem", "remedy"), FAULTS)
def test_each_fault_is_named_with_its_remedy(
    change: Callable[[Zone], Zone], subject: str, problem: str, remedy: str
) -> None:
    found = findings(change(right()))
    assert any(
        f.subject == subject and problem in f.problem and remedy in f.remedy for f in found
    ), found


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ([f"v=DKIM1; k=rsa; p={GOOD}"], ""),
        ([f"k=rsa; p={GOOD[:100]} {GOOD[100:]}"], ""),
        ([], "has no key"),
        (["v=DKIM1; p=", "v=DKIM1; p="], "has 2 TXT values instead of one"),
        (["v=DKIM1; p="], "is revoked"),
        (["v=DKIM2; p=QQ=="], "is no RSA key record"),
        (["v=DKIM1; p=nonsense"], "holds a p= that is no RSA key"),
        ([f"v=DKIM1; p={CURVE}"], "holds a p= that is no RSA key"),
        ([f"v=DKIM1; p={SHORT}"], "is a key of 1024 bits, and providers ask for 2048"),
        ([f"v=DKIM1; p={OTHER}"], "is not the public half of the host's private key"),
    ],
)
def test_keys(values: list[str], fault: str) -> None:
    assert dkim.key_fault([txt(value) for value in values], GOOD) == fault


def test_hosts_without_keys() -> None:
    checked = scope(right())
    [unread] = dkim.missing_keys(replace(checked, keys={}))
    assert "could not be read" in unread.problem
    [missing_keys] = dkim.missing_keys(replace(checked, keys={HOST: HostDkimKeys((), False)}))
    assert missing_keys.problem == "has no DKIM key for shop.example"


def test_hosts_without_certificates() -> None:
    checked = scope(right())
    assert list(dane.missing_certificates(checked)) == []
    [found] = dane.missing_certificates(replace(checked, certificates={}))
    assert str(found) == (
        f"{HOST}: has no certificate: its TLSA records are unchecked; "
        "run: pyinfra inventories/prod deploys/mta.py"
    )
    # A host that was not read is a finding already.
    assert list(dane.missing_certificates(replace(checked, certificates={}, keys={}))) == []


def test_one_tlsa_record_that_matches_is_enough() -> None:
    both = having(TLSA, "TLSA", "3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32)
    assert findings(both(right())) == []


def test_in_a_zone_that_is_not_signed_there_is_no_dane() -> None:
    plain = replace(scope(without((TLSA, "TLSA"))(right())), signed=[])
    assert list(dane.tasks(plain)) == []
    assert list(dane.missing_certificates(replace(plain, certificates={}))) == []


DS = ("shop.example", "DS")


@pytest.mark.parametrize(
    ("certificate", "subjects"), [("ab" * 32, []), ("cd" * 32, [TLSA])], ids=["right", "wrong"]
)
def test_a_whole_check(
    monkeypatch: pytest.MonkeyPatch, certificate: str, subjects: list[str]
) -> None:
    # No provider is asked: the fleet names none, and none could be opened here.
    monkeypatch.setattr(run, "authorities", lambda *_: ([], []))
    zone = {**right(), DS: ("1 13 2 00",), ("shop.example", "DNSKEY"): ("257 3 13 00",)}
    resolver = Fixed(zone)
    resolver.dnspython = None  # type: ignore[attr-defined]
    keys = {HOST: HostDkimKeys((KEY,), True)}
    asked = [cast(Resolver, resolver)]
    report = run.check(fleet(), keys, asked, certificates={HOST: (certificate,)})
    assert [finding.subject for finding in report.findings] == subjects
    assert report.dnssec == {"shop.example": "secure"}


def _states() -> Iterator[tuple[Zone, bool, bool, str, str]]:
    soa, keys, ds = (("shop.example", kind) for kind in ("SOA", "DNSKEY", "DS"))
    yield {soa: ("x",), keys: ("x",), ds: ("x",)}, True, False, "secure", ""
    yield {soa: ("x",), keys: ("x",), ds: ("x",)}, False, False, "secure", "does not validate"
    yield {soa: ("x",), keys: ("x",)}, False, False, "signed", "hand its DS to the registrar"
    yield {soa: ("x",)}, False, False, "unsigned", ""
    yield {soa: ("x",), ds: ("x",)}, False, False, "bogus", ""
    yield {}, False, True, "bogus", ""


@pytest.mark.parametrize(("zone", "authentic", "hidden", "state", "note"), list(_states()))
def test_dnssec(zone: Zone, authentic: bool, hidden: bool, state: str, note: str) -> None:
    resolver = Fixed(zone, authentic)
    resolver.bogus = hidden
    states: dict[str, str] = {}
    notes: list[str] = []
    asked = [cast(Resolver, resolver)]
    found = list(dnssec.findings(["shop.example"], asked, states, notes))
    assert states == {"shop.example": state}
    assert bool(found) is (state == "bogus")
    assert bool(notes) is bool(note)
    assert all(note in one for one in notes)
