"""The Hetzner driver: what it reads and writes, through the SDK's client and a server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Slot
from mailfleet.dns.plan.record_types import PURPOSES
from mailfleet.dns.plan.zone import Plan, plan
from mailfleet.dns.providers.hetzner.batches import batches
from mailfleet.dns.providers.hetzner.convert import Mark
from mailfleet.dns.providers.hetzner.sending import Sender
from mailfleet.dns.providers.hetzner.writes import Write
from mailfleet.dns.providers.registry import open_provider, secrets_of
from mailfleet.dns.rrset import RRset, octets, rrset, txt
from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, HetznerSettings
from tests.fakes.hetzner.objects import floating_ip, primary_ip, server
from tests.fakes.hetzner.server import HOST, READ_ONLY, TOKEN, HetznerFake
from tests.fakes.hetzner.setup import ZONE, Time, driver, ptr, push, running, stored, wanted_ptr
from tests.fakes.specification import Exchange, document, folder, violations

pytestmark = pytest.mark.unit

SPF = txt("v=spf1 ip4:203.0.113.1 -all")
NEW_SPF = txt("v=spf1 ip4:203.0.113.2 -all")
VERIFICATION = '"google-site-verification=abc"'
MARK = Mark("prod").comment
WANTED = [
    rrset(ZONE, "TXT", 300, SPF),
    rrset(ZONE, "MX", 300, "10 mta1.shop.example."),
    rrset(f"mta1.{ZONE}", "A", 300, "203.0.113.1", "203.0.113.2"),
    rrset(f"mta1.{ZONE}", "AAAA", 300, "2001:db8::1"),
    rrset(f"_dmarc.{ZONE}", "TXT", 300, txt("v=DMARC1; p=reject")),
    rrset(f"k1._domainkey.{ZONE}", "TXT", 300, txt("v=DKIM1; p=" + "A" * 700)),
    rrset(f"_25._tcp.mta1.{ZONE}", "TLSA", 300, "3 1 1 " + "ab" * 32),
    rrset(ZONE, "CAA", 300, '0 issue "ca.example; accounturi=https://ca.example/1"'),
]


@pytest.fixture(name="fake")
def _fake() -> Iterator[HetznerFake]:
    with running() as fake:
        yield fake


def test_messages_are_checked_against_the_description_of_the_api() -> None:
    if document("hetzner") is None:
        pytest.skip(f"no hetzner.json in {folder()}: traffic is not checked against it")
    sent = b'{"name": "a", "type": "A", "ttl": 7, "records": [{"value": "192.0.2.1"}]}'
    url, headers = f"{HOST}/v1/zones/1/rrsets", {"Authorization": f"Bearer {TOKEN}"}
    exchange = Exchange("POST", url, headers, sent, 422, b'{"error": {"code": "x"}}')
    found = violations("hetzner", exchange)
    assert ["7 is less than the minimum" in found[0], "message" in found[1]] == [True, True]


def test_a_second_push_changes_nothing(fake: HetznerFake) -> None:
    made = push(driver(fake), WANTED)
    assert made.count("create") == len(WANTED)
    fake.requests.clear()
    assert push(driver(fake), WANTED).is_empty
    number = fake.project.zones[ZONE]["id"]
    assert fake.requests == [("GET", f"/zones/{ZONE}"), ("GET", f"/zones/{number}/rrsets")]


def test_a_zone_is_listed_by_pages_of_100(fake: HetznerFake) -> None:
    for number in range(250):
        fake.project.put(ZONE, f"h{number}", "A", 60, "203.0.113.1")
    assert len(driver(fake).read(ZONE).records) == 250
    assert fake.count("GET", "/rrsets$") == 3


def test_a_server_with_smaller_pages_is_read_to_the_end(fake: HetznerFake) -> None:
    fake.per_page = 7
    for number in range(30):
        fake.project.put(ZONE, f"h{number}", "A", 60, "203.0.113.1")
    assert len(driver(fake).read(ZONE).records) == 30


def test_what_hetzner_maintains_is_not_shown(fake: HetznerFake) -> None:
    fake.project.put(ZONE, "sub", "NS", None, "ns1.example.")
    fake.project.put(ZONE, "old", "TXT", None, "unquoted; text")
    assert driver(fake).read(ZONE).records == (
        rrset(f"old.{ZONE}", "TXT", 3600, txt("unquoted; text")),
        rrset(f"sub.{ZONE}", "NS", 3600, "ns1.example."),
    )


def test_ownership_is_written_with_the_records(fake: HetznerFake) -> None:
    fake.project.put(ZONE, "@", "TXT", 60, VERIFICATION)
    push(driver(fake), WANTED)
    assert stored(fake, "@", "TXT") == {VERIFICATION: "", SPF: MARK}
    labels = fake.project.rrsets[ZONE]["mta1", "A"]["labels"]
    assert labels == {"managed-by": "mailfleet", "mailfleet-fleet": "prod"}
    assert driver(fake, fleet="staging").read(ZONE).owned == {}
    assert Slot(ZONE, "TXT", "spf1") in driver(fake).read(ZONE).owned


def test_a_fleet_may_have_any_name(fake: HetznerFake) -> None:
    push(driver(fake, fleet="-prod eu-"), WANTED)
    assert push(driver(fake, fleet="-prod eu-"), WANTED).is_empty


def test_values_and_ttl_are_updated(fake: HetznerFake) -> None:
    push(driver(fake), WANTED)
    changed = [rrset(f"mta1.{ZONE}", "A", 60, "203.0.113.2", "203.0.113.3"), *WANTED[3:]]
    push(driver(fake), changed)
    assert fake.project.rrsets[ZONE]["mta1", "A"]["ttl"] == 60
    assert set(stored(fake, "mta1", "A")) == {"203.0.113.2", "203.0.113.3"}
    assert ("@", "MX") not in fake.project.rrsets[ZONE]
    assert push(driver(fake), changed).is_empty


def test_an_inherited_ttl_that_fits_is_left(fake: HetznerFake) -> None:
    fake.project.put(ZONE, "www", "A", None, "203.0.113.1")
    wanted = [rrset(f"www.{ZONE}", "A", 3600, "203.0.113.1")]
    push(driver(fake), wanted, adopt=["*/*"])
    assert fake.project.rrsets[ZONE]["www", "A"]["ttl"] is None
    assert driver(fake).read(ZONE).owned.keys() == {Slot(f"www.{ZONE}", "A")}
    push(driver(fake), [rrset(f"www.{ZONE}", "A", 300, "203.0.113.1")])
    assert fake.project.rrsets[ZONE]["www", "A"]["ttl"] == 300


def test_a_value_of_ours_is_replaced_by_one_write(fake: HetznerFake) -> None:
    # Added first, receivers would see two SPF records; removed first, none.
    fake.project.put(ZONE, "@", "TXT", 60, VERIFICATION)
    push(driver(fake), [rrset(ZONE, "TXT", 300, SPF)])
    fake.requests.clear()
    push(driver(fake), [rrset(ZONE, "TXT", 300, NEW_SPF)])
    assert stored(fake, "@", "TXT") == {VERIFICATION: "", NEW_SPF: MARK}
    assert [path for method, path in fake.requests if method == "POST"][1:] == [
        next(path for _, path in fake.requests if path.endswith("set_records"))
    ]


def test_what_we_no_longer_want_goes_alone(fake: HetznerFake) -> None:
    fake.project.put(ZONE, "@", "TXT", 60, VERIFICATION)
    push(driver(fake), WANTED)
    push(driver(fake), [])
    assert stored(fake, "@", "TXT") == {VERIFICATION: ""}
    assert {key for key in fake.project.rrsets[ZONE] if key[1] not in ("SOA", "NS")} == {
        ("@", "TXT")
    }


def test_what_others_add_to_our_addresses_stays(fake: HetznerFake) -> None:
    push(driver(fake), WANTED)
    fake.project.add_value(ZONE, "mta1", "A", "198.51.100.7")
    assert plan(driver(fake).read(ZONE), WANTED).is_empty
    rest = [*WANTED[:2], *WANTED[3:]]
    push(driver(fake), [rrset(f"mta1.{ZONE}", "A", 300, "203.0.113.99"), *rest])
    assert stored(fake, "mta1", "A") == {"198.51.100.7": "", "203.0.113.99": MARK}
    push(driver(fake), rest)
    assert stored(fake, "mta1", "A") == {"198.51.100.7": ""}
    assert not fake.project.rrsets[ZONE]["mta1", "A"]["labels"]


def test_an_address_without_our_comment_is_not_ours(fake: HetznerFake) -> None:
    push(driver(fake), WANTED)
    labels = fake.project.rrsets[ZONE]["mta1", "A"]["labels"]
    fake.project.put(ZONE, "mta1", "A", 300, "203.0.113.66")
    fake.project.rrsets[ZONE]["mta1", "A"]["labels"] = labels
    made = plan(driver(fake).read(ZONE), WANTED)
    assert [conflict.name for conflict in made.conflicts] == [f"mta1.{ZONE}"]
    assert plan(driver(fake).read(ZONE), [*WANTED[:2], *WANTED[3:]]).is_empty


def test_what_is_added_during_a_push_stays(fake: HetznerFake) -> None:
    push(driver(fake), [rrset(ZONE, "TXT", 300, SPF)])
    wanted = [rrset(ZONE, "TXT", 300, NEW_SPF), WANTED[2]]
    found = driver(fake)
    snapshot = found.read(ZONE)
    made = plan(snapshot, wanted)
    write = Sender.send

    def meanwhile(sender: Sender, request: Write) -> None:
        if request.verb == "set":
            fake.project.add_value(ZONE, "@", "TXT", VERIFICATION)
        write(sender, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sender, "send", meanwhile)
        with pytest.raises(MailfleetError, match="changed"):
            found.apply(made, snapshot)
    assert VERIFICATION in stored(fake, "@", "TXT")


@pytest.mark.parametrize("value", [SPF, txt("v=spf1 include:esp.example ~all")])
def test_adopted_records_become_ours(fake: HetznerFake, value: str) -> None:
    fake.project.put(ZONE, "@", "TXT", 60, VERIFICATION, value)
    fake.project.put(ZONE, "@", "MX", 300, "10 mta1.shop.example.")
    fake.project.rrsets[ZONE]["@", "MX"]["labels"] = {"team": "shop"}
    push(driver(fake), WANTED, adopt=[f"{ZONE}/*"])
    assert stored(fake, "@", "TXT") == {VERIFICATION: "", SPF: MARK}
    assert fake.project.rrsets[ZONE]["@", "MX"]["labels"]["team"] == "shop"
    assert {Slot(ZONE, "MX"), Slot(ZONE, "TXT", "spf1")} <= driver(fake).read(ZONE).owned.keys()
    assert push(driver(fake), WANTED).is_empty


def test_a_second_spf_record_beside_ours_is_a_conflict(fake: HetznerFake) -> None:
    push(driver(fake), WANTED)
    fake.project.add_value(ZONE, "@", "TXT", '"v=spf1 include:esp.example ~all"')
    made = plan(driver(fake).read(ZONE), WANTED)
    assert made.changes == ()
    assert "RFC 7208" in str(made.conflicts[0])


def test_a_cname_makes_room_first(fake: HetznerFake) -> None:
    push(driver(fake), [rrset(f"smtp.{ZONE}", "CNAME", 300, "mta1.shop.example.")])
    push(driver(fake), [rrset(f"smtp.{ZONE}", "A", 300, "203.0.113.1")])
    push(driver(fake), [rrset(f"smtp.{ZONE}", "CNAME", 300, "mta1.shop.example.")])
    assert ("smtp", "A") not in fake.project.rrsets[ZONE]


def test_phases_keep_the_order_of_the_plan(fake: HetznerFake) -> None:
    old = [rrset(f"old.{ZONE}", "A", 300, "203.0.113.9")]
    push(driver(fake), old)
    made = plan(driver(fake).read(ZONE), WANTED)
    found = list(batches(made.changes))
    assert [change for batch in found for change in batch] == list(made.changes)
    fake.requests.clear()
    push(driver(fake), WANTED)
    writes = [(method, path) for method, path in fake.requests if method != "GET"]
    assert writes[-1][1].endswith("/rrsets/old/A/actions/remove_records")
    assert fake.count("GET", "^/actions") == len(found)


def test_parts_of_an_spf_record_are_waited_for() -> None:
    part = Change(None, rrset(f"_spf.{ZONE}", "TXT", 300, txt("v=spf1 ip4:203.0.113.1 -all")))
    whole = Change(None, rrset(ZONE, "TXT", 300, txt(f"v=spf1 include:_spf.{ZONE} -all")))
    other = Change(None, rrset(f"mta1.{ZONE}", "TXT", 300, txt("v=spf1 a -all")))
    assert list(batches([part, other, whole])) == [(part, other), (whole,)]


def test_actions_are_waited_for_together(fake: HetznerFake) -> None:
    many = [rrset(f"h{n}.{ZONE}", "A", 300, "203.0.113.1") for n in range(60)]
    fake.project.rounds = 2
    push(driver(fake), many)
    # 60 actions in questions about 25 each, two rounds.
    assert fake.count("GET", "^/actions") == 6


def problems(fake: HetznerFake, *wanted: RRset, token: str = TOKEN) -> tuple[str, ...]:
    to = driver(fake, token=token)
    return tuple(map(str, to.audit(plan(snapshot := to.read(ZONE), wanted), snapshot)))


def test_what_the_api_does_not_take_is_found_before(
    fake: HetznerFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A type that the fleet publishes and this provider does not have.
    monkeypatch.setitem(PURPOSES, "SSHFP", "refers")
    fake.project.put(ZONE, "@", "MX", 300, "10 mta1.shop.example.")
    fake.project.rrsets[ZONE]["@", "MX"]["protection"] = {"change": True}
    fake.project.rrsets[ZONE]["@", "MX"]["records"][0]["comment"] = MARK
    found = problems(
        fake,
        rrset(f"a.{ZONE}", "SSHFP", 300, "1 1 " + "ab" * 20),
        rrset(f"b.{ZONE}", "A", 30, "203.0.113.1"),
        rrset("elsewhere.example", "A", 300, "203.0.113.1"),
        rrset(f"0/25.{ZONE}", "A", 300, "203.0.113.1"),
        rrset(f"c.{ZONE}", "A", 300, *(f"203.0.113.{n}" for n in range(51))),
        rrset(ZONE, "MX", 300, "20 mta1.shop.example."),
    )
    words = ("no records of this type", "TTLs from 60 s", "outside of the zone", "characters")
    for word in (*words, "51 values", "is protected"):
        assert sum(word in text for text in found) == 1, word
    assert len(found) == 6


def test_a_token_that_may_only_read_is_found_before(fake: HetznerFake) -> None:
    [problem] = problems(fake, *WANTED, token=READ_ONLY)
    assert "MAILFLEET_HETZNER may only read" in problem
    assert "read & write" in problem
    assert len(fake.project.rrsets[ZONE]) == 2


def test_a_plan_without_changes_needs_no_write_permission(fake: HetznerFake) -> None:
    push(driver(fake), WANTED)
    assert push(driver(fake, token=READ_ONLY), WANTED).is_empty


@pytest.mark.parametrize(
    ("zone", "token", "words"),
    [
        ("other.example", TOKEN, "has no zone other.example"),
        ("copy.example", TOKEN, "in secondary mode"),
        (ZONE, "n0-t0ken-of-theirs", "the token is not accepted"),
    ],
)
def test_a_zone_that_cannot_be_read_is_explained(
    fake: HetznerFake, zone: str, token: str, words: str
) -> None:
    fake.project.add_zone("copy.example", mode="secondary")
    with pytest.raises(MailfleetError, match=words) as caught:
        driver(fake, token=token).read(zone)
    assert token not in str(caught.value)
    assert caught.value.hint


def test_a_token_with_a_line_break_is_not_shown(fake: HetznerFake) -> None:
    with pytest.raises(MailfleetError) as caught:
        driver(fake, token="t0ken\nrest")
    assert "t0ken" not in str(caught.value)
    assert "MAILFLEET_HETZNER" in str(caught.value)


def test_the_registry_opens_it(monkeypatch: pytest.MonkeyPatch, fake: HetznerFake) -> None:
    fleet = Fleet("prod", "inventories/prod", (), (), None)
    settings = HetznerSettings()
    monkeypatch.delenv("MAILFLEET_HETZNER", raising=False)
    monkeypatch.delenv("MAILFLEET_SECRETS", raising=False)
    with pytest.raises(MailfleetError, match=r"(?s)MAILFLEET_HETZNER.*read & write"):
        open_provider(settings, fleet)
    assert [name for name, _ in secrets_of(settings)] == ["MAILFLEET_HETZNER"]
    monkeypatch.setenv("MAILFLEET_HETZNER", TOKEN)
    monkeypatch.setenv("MAILFLEET_HETZNER_ENDPOINT", fake.endpoint)
    provider = open_provider(settings, fleet)
    assert provider.zones.read(ZONE).records == ()
    # Zones and PTR records of one push: one client, which keeps its connection open.
    assert provider.ptr is not None
    assert provider.ptr.read([]) == {}
    assert fake.connections == 1


def _ptr_records(made: Plan) -> dict[str, str]:
    return {change.key[0]: change.kind for change in made.changes}


def test_pointers_of_all_that_carries_addresses(fake: HetznerFake) -> None:
    fake.project.primary_ips = [
        primary_ip(1, "203.0.113.1", {"203.0.113.1": "static.1.clients.your-server.de"}),
        primary_ip(2, "2001:db8:1::/64", {}),
    ]
    fake.project.floating_ips = [
        floating_ip(3, "198.51.100.1", {}),
        floating_ip(4, "2001:db8:2::/64", {}),
    ]
    fake.project.servers = [server(5, "192.0.2.1", "2001:db8:3::/64")]
    names = {
        ip_address("203.0.113.1"): f"mta1.{ZONE}",
        ip_address("2001:db8:1::25"): f"mta1.{ZONE}",
        ip_address("198.51.100.1"): f"orders.mta1.{ZONE}",
        ip_address("2001:db8:2::1"): f"orders.mta1.{ZONE}",
        ip_address("192.0.2.1"): f"mta2.{ZONE}",
        ip_address("2001:db8:3::1"): f"mta2.{ZONE}",
    }
    wanted = [record.rrset for record in wanted_ptr(names)]
    elsewhere = {ip_address("192.0.2.200"): f"mta3.{ZONE}"}
    assert ptr(fake, {**names, **elsewhere}).read().content == dict.fromkeys(names, "")
    assert push(ptr(fake, names), wanted).count("create") == 6
    assert {"ip": "2001:db8:1::25", "dns_ptr": f"mta1.{ZONE}"} in fake.project.primary_ips[1][
        "dns_ptr"
    ]
    assert plan(ptr(fake, names).read(), wanted).is_empty
    renamed = dict.fromkeys(names, f"new.{ZONE}")
    made = push(ptr(fake, renamed), [record.rrset for record in wanted_ptr(renamed)])
    assert made.count("update") == 6
    push(ptr(fake, names), [])
    assert fake.project.floating_ips[1]["dns_ptr"] == []


def test_a_foreign_pointer_is_a_conflict(fake: HetznerFake) -> None:
    address = ip_address("203.0.113.1")
    fake.project.primary_ips = [primary_ip(1, "203.0.113.1", {"203.0.113.1": "www.other.example"})]
    names = {address: f"mta1.{ZONE}"}
    wanted = [record.rrset for record in wanted_ptr(names)]
    made = plan(ptr(fake, names).read(), wanted)
    assert made.changes == ()
    assert "--adopt '1.113.0.203.in-addr.arpa/PTR'" in str(made.conflicts[0])
    push(ptr(fake, names), wanted, adopt=["*.in-addr.arpa/PTR"])
    assert fake.project.primary_ips[0]["dns_ptr"][0]["dns_ptr"] == f"mta1.{ZONE}"


def test_pointers_are_listed_once_for_a_plan(fake: HetznerFake) -> None:
    address = ip_address("203.0.113.1")
    fake.project.primary_ips = [primary_ip(1, "203.0.113.1", {})]
    ptr(fake, {address: f"mta1.{ZONE}"}).read()
    assert [path for _, path in fake.requests] == ["/primary_ips", "/floating_ips"]


def test_any_octets_survive(fake: HetznerFake) -> None:
    contents = [b"", b'\x00\xff;"\\', "ü€".encode() * 100, b"x" * 254 + b'"y', b"a b  c"]
    wanted = [
        rrset(f"t{at}.{ZONE}", "TXT", 300, txt(content)) for at, content in enumerate(contents)
    ]
    push(driver(fake, Time()), wanted)
    found = driver(fake).read(ZONE).records
    assert [octets(record.values[0]) for record in found] == contents
