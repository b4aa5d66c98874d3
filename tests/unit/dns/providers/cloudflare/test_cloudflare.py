"""The Cloudflare driver against a stand-in on loopback, checked against the API's own document."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from mailfleet.dns.plan.ownership import Slot
from mailfleet.dns.plan.record_types import PURPOSES
from mailfleet.dns.plan.zone import plan
from mailfleet.dns.providers.base import ReverseZones
from mailfleet.dns.providers.registry import open_provider, secrets_of
from mailfleet.dns.records.ptr import reverse_name
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, CloudflareSettings, Domain, Fleet
from tests.fakes.cloudflare.setting import TTL, ZONE, Setting, setting
from tests.fakes.specification import Exchange, document, folder, violations

pytestmark = pytest.mark.unit

MTA = f"mta1.eu.{ZONE}"
MARK = "mailfleet:prod"


@pytest.fixture(name="at")
def _at() -> Iterator[Setting]:
    with setting() as found:
        yield found


def desired(*extra: RRset) -> list[RRset]:
    return [
        rrset(ZONE, "TXT", TTL, txt("v=spf1 ip4:198.51.100.1 -all")),
        rrset(ZONE, "MX", TTL, f"10 {MTA}.", f"20 mx.{ZONE}."),
        rrset(MTA, "A", TTL, "198.51.100.1"),
        rrset(MTA, "AAAA", TTL, "2001:db8:e0::1"),
        rrset(f"k1._domainkey.{ZONE}", "TXT", TTL, txt("v=DKIM1; k=rsa; p=" + "A" * 700)),
        rrset(ZONE, "CAA", TTL, '0 issue "ca.example; accounturi=https://ca.example/a/1"'),
        rrset(f"_25._tcp.{MTA}", "TLSA", TTL, "3 1 1 " + "ab" * 32),
        rrset(f"_submissions._tcp.{ZONE}", "SRV", TTL, f"0 1 465 smtp.{ZONE}."),
        rrset(f"null.{ZONE}", "MX", TTL, "0 ."),
        rrset(f"*.{ZONE}", "CNAME", TTL, f"{MTA}."),
        *extra,
    ]


def reverse_zone(driver: Any, address: Address) -> str | None:
    """The zone of one address's PTR record."""
    assert isinstance(driver, ReverseZones)
    zones: dict[Address, str] = driver.reverse_zones({address: reverse_name(address)})
    return zones.get(address)


def test_traffic_is_checked_against_the_specification() -> None:
    if document("cloudflare") is None:
        pytest.skip(f"no cloudflare.json in {folder()}: traffic is not checked against it")
    sent = b'{"name": "a.shop.example", "type": "A", "ttl": "long", "content": "192.0.2.1"}'
    url = f"https://api.cloudflare.com/client/v4/zones/{'0' * 32}/dns_records"
    exchange = Exchange("POST", url, {"Authorization": "Bearer x"}, sent, 200, b'{"result": 1}')
    found = violations("cloudflare", exchange)
    assert ["'long'" in found[0], "success" in found[1]] == [True, True]


def test_a_second_push_changes_nothing(at: Setting) -> None:
    at.push(desired())
    again = at.plan(desired())
    assert again.is_empty
    assert {r["comment"] for r in at.zone.records.values()} == {MARK}
    assert all(r["proxied"] is False for r in at.zone.records.values())
    [dkim] = at.zone.find("TXT", f"k1._domainkey.{ZONE}")
    assert dkim["content"] == txt("v=DKIM1; k=rsa; p=" + "A" * 700)


def test_requests_are_few(at: Setting) -> None:
    at.push(desired())
    assert at.fake.count("POST") == 1
    at.fake.requests.clear()
    driver = at.driver()
    assert driver.audit(at.plan(desired(), driver), at.snapshot) == ()
    driver.apply(at.plan(desired(), driver), at.snapshot)
    # Two plans: the zone was looked up once.
    assert at.fake.count("GET /zones") == 3
    assert at.fake.requests.count(f"GET /zones/{at.zone.id}/dns_records") == 2


def test_a_page_is_asked_for_once(at: Setting) -> None:
    for number in range(25):
        at.zone.add("A", f"h{number}.{ZONE}", "192.0.2.1")
    at.fake.account.largest_page = 10
    assert len(at.driver().read(ZONE).records) == 25
    assert at.fake.count(f"GET /zones/{at.zone.id}/dns_records") == 3


def test_zones_are_listed_at_once_or_looked_up_by_name(at: Setting) -> None:
    names = [f"z{number:03}.example" for number in range(120)]
    for name in names:
        at.fake.account.zone(name)
    driver = at.driver(expected=121)
    for name in names:
        driver.read(name)
    assert at.fake.requests.count("GET /zones") == 3
    at.fake.requests.clear()
    driver = at.driver(expected=2)
    for name in (names[0], names[119]):
        driver.read(name)
    assert at.fake.requests.count("GET /zones") == 2


def test_foreign_records_stay(at: Setting) -> None:
    at.zone.add("TXT", ZONE, "google-site-verification=abc; x", ttl=120, comment="by hand")
    at.zone.add("TXT", ZONE, '"split" " in two"', ttl=120)
    at.zone.add("A", f"www.{ZONE}", "192.0.2.1", proxied=True)
    at.zone.add("HTTPS", f"www.{ZONE}", "1 . alpn=h3", data={"priority": 1, "target": "."})
    before = at.foreign()
    at.push(desired())
    assert at.foreign() == before
    at.push([rrset(ZONE, "TXT", TTL, txt("v=spf1 -all"))])
    assert at.foreign() == before
    assert at.zone.contents("TXT", ZONE) >= {'"v=spf1 -all"'}
    at.push([])
    assert at.foreign() == before
    assert len(at.zone.records) == len(before)


def test_a_value_is_overwritten_in_place(at: Setting) -> None:
    at.push(desired())
    [spf] = at.zone.find("TXT", ZONE)
    spf["tags"] = ["team:mail"]
    spf["comment"] = f"{MARK} - ask Ann before you touch it"
    at.push([rrset(ZONE, "TXT", TTL, txt("v=spf1 -all")), *desired()[1:]])
    [after] = at.zone.find("TXT", ZONE)
    assert (after["id"], after["content"]) == (spf["id"], '"v=spf1 -all"')
    assert (after["tags"], after["comment"]) == (spf["tags"], spf["comment"])


def test_a_cname_makes_room(at: Setting) -> None:
    name = f"smtp.{ZONE}"
    at.push([rrset(name, "CNAME", TTL, f"{MTA}.")])
    at.push([rrset(name, "A", TTL, "198.51.100.1")])
    assert [r["type"] for r in at.zone.records.values()] == ["A"]


def test_a_large_plan_goes_in_batches() -> None:
    # Not checked against the document, which takes long for hundreds of records.
    with setting(validate=False) as at:
        _large(at)


def _large(at: Setting) -> None:
    many = [rrset(f"h{n}.{ZONE}", "A", TTL, f"198.51.{n // 250}.{n % 250}") for n in range(450)]
    at.push(many)
    assert at.fake.count("POST") == 3
    assert at.plan(many).is_empty
    at.push(many[:5])
    assert len(at.zone.records) == 5


def test_another_programs_values_beside_ours_stay(at: Setting) -> None:
    at.push(desired())
    at.zone.add("MX", ZONE, "mx.other.example", priority=5)
    at.zone.add("A", MTA, "192.0.2.99")
    before = at.foreign()
    assert at.plan(desired()).is_empty
    at.push([rrset(MTA, "A", TTL, "198.51.100.2")])
    assert at.foreign() == before
    assert at.zone.contents("A", MTA) == {"198.51.100.2", "192.0.2.99"}
    # Once the fleet needs that very value, it is marked.
    both = [rrset(MTA, "A", TTL, "198.51.100.2", "192.0.2.99")]
    at.push(both)
    assert at.plan(both).is_empty


def test_a_second_spf_record_stops_the_zone(at: Setting) -> None:
    at.push(desired())
    at.zone.add("TXT", ZONE, "v=spf1 include:esp.example ~all")
    made = at.plan(desired())
    [conflict] = made.conflicts
    assert "v=spf1 include:esp.example ~all" in str(conflict)
    assert made.changes == ()


def test_an_equal_address_of_others_stays_theirs(at: Setting) -> None:
    at.push(desired())
    at.zone.add("A", MTA, "198.51.100.77", ttl=TTL)
    more = [
        RRset(*r.key, r.ttl, tuple(sorted({*r.values, "198.51.100.77"})))
        if r.key == (MTA, "A")
        else r
        for r in desired()
    ]
    at.push(more)
    assert at.plan(more).is_empty
    at.push([])
    assert [record["content"] for record in at.zone.records.values()] == ["198.51.100.77"]


def test_adopting_marks_and_replaces(at: Setting) -> None:
    at.zone.add("TXT", ZONE, "v=spf1 ~all", comment="by hand")
    at.zone.add("A", MTA, "198.51.100.1", ttl=TTL)
    assert at.plan(desired()).conflicts
    at.push(desired(), adopt=["*/TXT", "*/A"])
    assert at.foreign() == set()
    assert at.plan(desired()).is_empty


def test_two_fleets_share_a_zone(at: Setting) -> None:
    other = [rrset(f"mta9.{ZONE}", "A", TTL, "198.51.100.9")]
    at.push(desired())
    at.push(other, at.driver(fleet="prod2"))
    assert at.plan(desired()).is_empty
    at.push([])
    assert at.plan(other, at.driver(fleet="prod2")).is_empty
    assert len(at.zone.records) == 1


def test_the_proxy_is_switched_off(at: Setting) -> None:
    at.push(desired())
    [record] = at.zone.find("A", MTA)
    record |= {"proxied": True, "ttl": 1}
    [change] = at.plan(desired()).changes
    assert change.old
    assert change.old.values == ("198.51.100.1 (proxied)",)
    at.push(desired())
    assert not at.zone.find("A", MTA)[0]["proxied"]
    assert at.zone.find("A", MTA)[0]["id"] == record["id"]


def test_a_foreign_proxied_record_is_in_the_way(at: Setting) -> None:
    at.zone.add("A", MTA, "198.51.100.1", proxied=True)
    [conflict] = at.plan(desired()).conflicts
    assert "198.51.100.1 (proxied)" in str(conflict)


def test_the_proxy_where_the_domain_file_says_so(at: Setting) -> None:
    name = f"mta-sts.{ZONE}"
    wanted = [rrset(name, "A", TTL, "198.51.100.1"), rrset(MTA, "A", TTL, "198.51.100.1")]
    at.push(wanted, at.driver(name))
    assert at.zone.find("A", name)[0]["proxied"]
    assert not at.zone.find("A", MTA)[0]["proxied"]
    assert at.plan(wanted, at.driver(name)).is_empty
    at.push(wanted)
    assert not at.zone.find("A", name)[0]["proxied"]
    at.push(wanted, at.driver(name))
    assert at.zone.find("A", name)[0]["proxied"]


def test_ttls(at: Setting) -> None:
    at.push(desired())
    [record] = at.zone.find("A", MTA)
    record["ttl"] = 1
    [change] = at.plan(desired()).changes
    assert change.old
    assert change.old.ttl == 300
    [first, _] = at.zone.find("MX", ZONE)
    first["ttl"] = 60
    assert at.plan(desired()).count("update") == 2
    at.push(desired())
    assert {r["ttl"] for r in at.zone.records.values()} == {TTL}


def test_an_apex_cname_is_no_conflict_for_mail(at: Setting) -> None:
    at.zone.add("CNAME", ZONE, "shop.pages.example", proxied=True)
    assert not at.plan(desired()).conflicts
    driver = at.driver()
    made = at.plan([rrset(ZONE, "A", TTL, "198.51.100.1")], driver)
    [problem] = map(str, driver.audit(made, at.snapshot))
    assert "is a CNAME" in problem


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (rrset(f"a.{ZONE}", "A", 30, "192.0.2.1"), "TTLs of 60 to 86400 seconds, not 30"),
        (rrset(f"a.{ZONE}", "TXT", 300, txt("")), "no empty text"),
        (rrset(f"a.{ZONE}", "TXT", 300, txt("x" * 4090)), "too long"),
        (rrset(f"a.{ZONE}", "TXT", 300, *(txt(c * 3000) for c in "xyz")), "8192"),
        (rrset(f"a.{ZONE}", "SSHFP", 300, "4 2 " + "00" * 32), "writes A, AAAA"),
        (rrset("a.other.example", "A", 300, "192.0.2.1"), "outside of the zone"),
    ],
)
def test_what_cloudflare_would_refuse(
    at: Setting, record: RRset, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A type that the fleet publishes and this provider does not have.
    monkeypatch.setitem(PURPOSES, "SSHFP", "refers")
    driver = at.driver()
    [problem] = map(str, driver.audit(at.plan([record], driver), at.snapshot))
    assert said in problem


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"paused": True}, "paused"),
        ({"type": "secondary"}, "primary server"),
        ({"type": "partial"}, "full zone"),
        ({"status": "moved"}, "delegate it"),
        ({"permissions": ("#zone:read", "#dns_records:read")}, "MAILFLEET_CLOUDFLARE may read"),
    ],
)
def test_a_zone_that_cannot_be_written(at: Setting, fields: dict[str, object], said: str) -> None:
    at.push(desired())
    vars(at.zone).update(fields)
    driver = at.driver()
    assert driver.audit(at.plan(desired(), driver), at.snapshot) == ()
    [problem] = map(str, driver.audit(at.plan(desired()[1:], driver), at.snapshot))
    assert said in problem


def test_a_missing_zone(at: Setting) -> None:
    with pytest.raises(MailfleetError, match=r"no zone absent\.example .*\n.*add the zone"):
        at.driver().read("absent.example")


def test_one_name_in_two_accounts(at: Setting) -> None:
    other = at.fake.account.zone(ZONE, status="pending")
    assert at.driver().read(ZONE).records == ()
    other.status = "active"
    with pytest.raises(MailfleetError, match="2 zones"):
        at.driver().read(ZONE)


@pytest.mark.parametrize("records_too", [False, True])
@pytest.mark.parametrize("expected", [1, 3])
def test_a_zone_with_an_international_name(expected: int, records_too: bool) -> None:
    kept = "xn--bcher-kva.example"
    wanted = [
        rrset(f"mta1.{kept}", "A", TTL, "198.51.100.1"),
        rrset(kept, "MX", TTL, f"10 mta1.{kept}."),
        rrset(f"_dmarc.{kept}", "TXT", TTL, txt("v=DMARC1; p=reject")),
    ]
    with setting("bücher.example", validate=False) as found:
        found.fake.account.zone("other.example")
        found.zone.shows_u_labels = records_too
        found.zone.add("CNAME", "www.bücher.example", "shop.bücher.example")
        driver = found.driver(expected=expected)
        [foreign] = driver.read(kept).records
        assert (foreign.name, foreign.values) == (f"www.{kept}", (f"shop.{kept}.",))
        snapshot = driver.read(kept)
        planned = plan(snapshot, wanted)
        assert driver.audit(planned, snapshot) == ()
        driver.apply(planned, snapshot)
        again = found.driver(expected=expected)
        assert plan(again.read(kept), wanted).is_empty
        assert len(found.zone.records) == 4


def test_reverse_zones(at: Setting) -> None:
    driver = at.driver()
    assert reverse_zone(driver, ip_address("198.51.100.7")) is None
    at.fake.account.zone("100.51.198.in-addr.arpa")
    at.fake.account.zone("51.198.in-addr.arpa")
    at.fake.account.zone("0.e.0.0.8.b.d.0.1.0.0.2.ip6.arpa")
    driver = at.driver()
    assert reverse_zone(driver, ip_address("198.51.100.7")) == "100.51.198.in-addr.arpa"
    assert reverse_zone(driver, ip_address("198.51.9.7")) == "51.198.in-addr.arpa"
    v6 = reverse_zone(driver, ip_address("2001:db8:e0::7"))
    assert v6 == "0.e.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    assert at.fake.requests.count("GET /zones") == 2
    reverse_names = [rrset("7.100.51.198.in-addr.arpa", "PTR", TTL, f"{MTA}.")]
    driver.apply(plan(snapshot := driver.read("100.51.198.in-addr.arpa"), reverse_names), snapshot)
    assert plan(driver.read("100.51.198.in-addr.arpa"), reverse_names).is_empty


def test_ownership_is_read_from_comments(at: Setting) -> None:
    at.zone.add("A", f"a.{ZONE}", "192.0.2.1", comment=f"{MARK} of the shop")
    at.zone.add("A", f"b.{ZONE}", "192.0.2.1", comment=f"{MARK}2")
    at.zone.add("A", f"c.{ZONE}", "192.0.2.1", comment=f"not {MARK}")
    assert at.driver().read(ZONE).owned.keys() == {Slot(f"a.{ZONE}", "A")}


def fleet(*proxied: str) -> Fleet:
    settings = CloudflareSettings(proxied=proxied)
    domain = Domain.__new__(Domain)
    for name, value in {"name": ZONE, "zone": ZONE, "dns": settings, "ttl": TTL}.items():
        object.__setattr__(domain, name, value)
    return Fleet("prod", "inventories/prod", (), (domain,), None)


def test_the_token_comes_from_the_environment(at: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILFLEET_CLOUDFLARE_ENDPOINT", at.fake.endpoint)
    monkeypatch.delenv("MAILFLEET_CLOUDFLARE", raising=False)
    settings = CloudflareSettings()
    with pytest.raises(MailfleetError, match=r"MAILFLEET_CLOUDFLARE .*Zone:Read and DNS:Edit"):
        open_provider(settings, fleet())
    assert [name for name, _ in secrets_of(settings)] == ["MAILFLEET_CLOUDFLARE"]
    monkeypatch.setenv("MAILFLEET_CLOUDFLARE", at.fake.account.token)
    # The SDK would send these instead of the token that it is given.
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "ann@shop.example")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "key")
    monkeypatch.setenv("CLOUDFLARE_API_USER_SERVICE_KEY", "key")
    monkeypatch.setenv("CLOUDFLARE_CUSTOM_HEADERS", "Authorization: Bearer other")
    driver = open_provider(settings, fleet(f"mta-sts.{ZONE}")).zones
    snapshot = driver.read(ZONE)
    driver.apply(plan(snapshot, [rrset(f"mta-sts.{ZONE}", "A", TTL, "192.0.2.1")]), snapshot)
    assert at.zone.find("A", f"mta-sts.{ZONE}")[0]["proxied"]
