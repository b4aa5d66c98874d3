"""Policies, reports, logos and issuers of a domain; and what a parked one says."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.dns.records import mta_sts
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import DkimPublicKey
from mailfleet.dns.rrset import octets
from mailfleet.errors import ConfigurationError
from mailfleet.model import Fleet, HostEntry, MtaSts, build_fleet

pytestmark = pytest.mark.unit

HOST = "mta1.shop.example"
STREAMS = {
    "orders": {"logins": ["shop"]},
    "news": {
        "from_domain": "news.shop.example",
        "logins": ["letter"],
        "tls_port": 1465,
        "starttls_port": 1587,
    },
}
Found = dict[tuple[str, str], tuple[str, ...]]


def build(
    domain: dict[str, Any], parked: dict[str, Any] | None = None, acme: str = "production"
) -> Fleet:
    files = {"shop.example": ("dns/shop.example.toml", {"streams": STREAMS, **domain})}
    if parked is not None:
        files["parked.example"] = ("dns/parked.example.toml", parked)
    use = {"orders": ["203.0.113.1", "2001:db8::1"], "news": "orders"}
    hosts = [HostEntry("eu", HOST, {"streams": use})]
    options = {"domains": list(files), "acme": acme}
    return build_fleet("inventories/prod", hosts, options, files, [])


def found(fleet: Fleet, *keys: DkimPublicKey, **options: Any) -> Found:
    return {
        record.key: tuple(octets(v).decode() if record.type == "TXT" else v for v in record.values)
        for zone in records(fleet, keys, **options).values()
        for record in zone
    }


def test_mta_sts() -> None:
    made = found(build({"mta_sts": {"mode": "enforce"}}))
    names = {name for name, _ in made if name.startswith("_mta-sts.")}
    assert names == {
        f"_mta-sts.{name}"
        for name in (
            "shop.example",
            "bounce.shop.example",
            "news.shop.example",
            "bounce.news.shop.example",
        )
    }
    assert made["mta-sts.news.shop.example", "AAAA"] == ("2001:db8::1",)
    text = mta_sts.policy_text(MtaSts(mode="enforce", max_age=604_800), [HOST])
    assert text == f"version: STSv1\r\nmode: enforce\r\nmx: {HOST}\r\nmax_age: 604800\r\n"
    assert made["_mta-sts.shop.example", "TXT"] == (mta_sts.record(text),)


def test_an_mta_sts_id_changes_with_the_policy_only() -> None:
    policy = MtaSts(mode="testing", max_age=86_400)
    one = mta_sts.record(mta_sts.policy_text(policy, ["b.example", "a.example"]))
    assert one == mta_sts.record(mta_sts.policy_text(policy, ["a.example", "b.example"]))
    assert one != mta_sts.record(mta_sts.policy_text(policy, ["a.example"]))
    identifier = one.removeprefix("v=STSv1; id=")
    assert identifier.isalnum()
    assert len(identifier) <= 32
    assert "mx:" not in mta_sts.policy_text(MtaSts(mode="none", max_age=86_400), ["a.example"])


def test_tls_reports() -> None:
    made = found(build({"tls_rpt": {"reports": ["tls@shop.example"]}}))
    expected = ("v=TLSRPTv1; rua=mailto:tls@shop.example",)
    assert made["_smtp._tls.bounce.shop.example", "TXT"] == expected


def test_tlsa_stands_in_signed_zones_only() -> None:
    certificates = {HOST: ["AB" * 32, "cd" * 32]}
    assert ("_25._tcp." + HOST, "TLSA") not in found(build({}), certificates=certificates)
    made = found(build({}), certificates=certificates, signed=["shop.example"])
    assert made["_25._tcp." + HOST, "TLSA"] == ("3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32)


def test_caa_stands_at_the_fleet_s_names_only() -> None:
    account = "https://ca.example/acct/1"
    caa = {"issuers": ["ca.example"], "account_uri": account}
    made = found(build({"caa": caa}, acme="https://ca.example/dir"))
    value = (f'0 issue "ca.example; accounturi={account}"',)
    assert {name for (name, rtype), values in made.items() if rtype == "CAA"} == {
        HOST,
        "smtp-orders.shop.example",
        "smtp-orders-eu.shop.example",
        "smtp-news.shop.example",
        "smtp-news-eu.shop.example",
    }
    assert made[HOST, "CAA"] == value


def test_bimi() -> None:
    bimi = {"logo": "https://shop.example/logo.svg", "certificate": "https://shop.example/vmc.pem"}
    made = found(build({"dmarc": {"policy": "reject"}, "bimi": bimi}))
    expected = f"v=BIMI1; l={bimi['logo']}; a={bimi['certificate']}"
    assert made["default._bimi.news.shop.example", "TXT"] == (expected,)


def test_dmarc_per_subdomain_and_in_a_test() -> None:
    dmarc = {
        "policy": "reject",
        "nonexistent_policy": "reject",
        "testing": True,
        "subdomains": {"news.shop.example": "none"},
    }
    made = found(build({"dmarc": dmarc}))
    assert made["_dmarc.shop.example", "TXT"] == ("v=DMARC1; p=reject; sp=reject; np=reject; t=y",)
    assert made["_dmarc.news.shop.example", "TXT"] == ("v=DMARC1; p=none; t=y",)


def test_a_revoked_key_stays_revoked() -> None:
    old = DkimPublicKey("shop.example", "mta1-shop-0", "QUJD")
    new = DkimPublicKey("shop.example", "mta1-shop-1", "QUJE")
    made = found(build({"dkim": {"revoked": ["mta1-shop-0"]}}), old, new)
    assert made[old.name, "TXT"] == ("v=DKIM1; p=",)
    assert made["mta1-shop-0._domainkey.news.shop.example", "TXT"] == ("v=DKIM1; p=",)
    assert made[new.name, "TXT"] == ("v=DKIM1; k=rsa; p=QUJE",)


def test_a_parked_domain() -> None:
    parked = {"sends": False, "dmarc": {"reports": ["dmarc@shop.example"]}}
    made = found(build({}, parked))
    assert {key: values for key, values in made.items() if key[0].endswith("parked.example")} == {
        ("parked.example", "MX"): ("0 .",),
        ("parked.example", "TXT"): ("v=spf1 -all",),
        ("_dmarc.parked.example", "TXT"): (
            "v=DMARC1; p=reject; sp=reject; np=reject; rua=mailto:dmarc@shop.example",
        ),
    }
    assert made["parked.example._report._dmarc.shop.example", "TXT"] == ("v=DMARC1;",)


def problems(domain: dict[str, Any], parked: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        build(domain, parked)
    return [str(problem) for problem in error.value.problems]


REJECT = {"policy": "reject"}
LOGO = {"logo": "https://shop.example/logo.svg"}
WRONG = [
    (
        {"dkim": {"revoked": ["mta1-shop-1"]}},
        "dkim.revoked: mta1.shop.example signs with mta1-shop-1; set a new period, deploy and push "
        "first",
    ),
    (
        {"dkim": {"revoked": ["a b"]}},
        "dkim.revoked: 'a b' does not fit; write the selector as it stands before ._domainkey, in "
        "small letters, e.g. mta1-eu-2026q3",
    ),
    (
        {"dmarc": {"testing": True}},
        'dmarc.testing: with policy "none" there is nothing to test; set quarantine or reject',
    ),
    (
        {"dmarc": {"subdomains": {"x.shop.example": "none"}}},
        "dmarc.subdomains: x.shop.example is no From domain of this file; known are "
        "news.shop.example",
    ),
    (
        {"dmarc": {"subdomains": {"shop.example": "none"}}},
        "dmarc.subdomains: shop.example is the domain itself; write dmarc.policy",
    ),
    (
        {"dmarc": {"subdomains": {"news.shop.example": "none", "News.shop.example": "reject"}}},
        "dmarc.subdomains: 'news.shop.example' and 'News.shop.example' are the same name; keep one",
    ),
    ({"caa": {"issuers": []}}, "caa.issuers: is empty; give at least one"),
    (
        {
            "caa": {
                "issuers": ["letsencrypt.org", "b.example"],
                "account_uri": "https://b.example/1",
            }
        },
        "caa.account_uri: an account belongs to one issuer; name one in issuers",
    ),
    (
        {"caa": {"issuers": ["a.example"], "account_uri": "https://a.example/1;x"}},
        "caa.account_uri: 'https://a.example/1;x' does not fit; write a whole https:// address "
        'without ";", "," or quotes',
    ),
    (
        {"bimi": LOGO},
        'bimi: logos are shown with policy "quarantine" or "reject" only, subdomains included; '
        "raise the policies of [dmarc], or remove it",
    ),
    (
        {"bimi": LOGO, "dmarc": {**REJECT, "testing": True}},
        "bimi: logos are not shown while dmarc.testing is true; remove one of the two",
    ),
    (
        {"mta_sts": {"mode": "enforce", "max_age": 60}},
        "mta_sts.max_age: 60 is too small; the least is 86400",
    ),
    ({"tls_rpt": {"reports": []}}, "tls_rpt.reports: is empty; give at least one"),
]


@pytest.mark.parametrize(("domain", "expected"), WRONG)
def test_what_contradicts_itself_is_refused(domain: dict[str, Any], expected: str) -> None:
    assert problems(domain) == [f"dns/shop.example.toml: {expected}"]


PARKED = [
    ({"mx": ["mx.office.example"]}, "mx: a domain that sends nothing takes no mail either"),
    ({"spf": {"includes": ["x.example"]}}, "spf.includes: nobody else sends as the domain"),
    ({"dmarc": {"policy": "none"}}, "dmarc.policy: a parked domain's policy is reject"),
    ({"mta_sts": {"mode": "none"}}, "mta_sts: there is no server that it could be about"),
    ({"bimi": LOGO}, "bimi: there is no mail to show a logo with"),
    ({"dkim": {"revoked": ["a"]}}, "dkim.revoked: it has no From domain whose key to revoke"),
]


@pytest.mark.parametrize(("table", "expected"), PARKED)
def test_a_parked_domain_says_nothing_else(table: dict[str, Any], expected: str) -> None:
    assert problems({}, {"sends": False, **table}) == [
        f"dns/parked.example.toml: {expected}; remove it, or sends = false"
    ]


def test_a_parked_domain_has_no_streams_and_no_hosts() -> None:
    file, without = (
        "dns/shop.example.toml",
        "the domain has sends = false; remove the stream, or sends",
    )
    assert problems({"sends": False}) == [
        f"{file}: streams.orders: {without}",
        f"{file}: streams.news: {without}",
        f"{file}: sends: host mta1.shop.example lies in the domain and sends bounces; remove sends",
    ]
