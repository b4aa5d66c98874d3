"""Our SPF evaluation gives the verdicts of pyspf, an evaluator that others wrote and tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import pytest
import spf
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.rrset import octets, txt
from mailfleet.dns.spf.check_host import check_host

pytestmark = pytest.mark.unit

Zone = dict[tuple[str, str], list[str]]

BASE: Zone = {
    ("mail.example", "A"): ["203.0.113.1"],
    ("mail.example", "AAAA"): ["2001:db8::1"],
    ("shop.example", "MX"): ["10 mail.example.", "20 gone.example."],
    ("shop.example", "A"): ["203.0.113.2"],
    ("esp.example", "TXT"): [txt("v=spf1 ip4:198.51.100.0/24 ?all")],
    ("soft.example", "TXT"): [txt("v=spf1 a:mail.example ~all")],
    ("two.example", "TXT"): [txt("v=spf1 -all"), txt("v=spf1 +all")],
    ("loop.example", "TXT"): [txt("v=spf1 include:loop.example -all")],
    ("open.example", "TXT"): [txt("v=spf1 +all")],
    ("other.example", "TXT"): [txt("google-site-verification=1"), txt("v=spf10 +all")],
    ("1.113.0.203.in-addr.arpa", "PTR"): ["mail.example."],
    ("1.113.0.203.spf.example", "A"): ["127.0.0.2"],
    ("shop.example.user.example", "A"): ["127.0.0.2"],
}
ADDRESSES = [
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.77",
    "198.51.100.9",
    "2001:db8::1",
    "2001:db8::2",
]


def lookup_in(zone: Zone):  # type: ignore[no-untyped-def]
    def lookup(name: str, rtype: str) -> Sequence[str]:
        if name == "down.example":
            raise LookupFailedError(f"{name} does not answer")
        return zone.get((name, rtype), ())

    return lookup


def by_pyspf(zone: Zone, record: str, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """pyspf's verdict, with its own DNS function replaced by the zone."""

    def answers(
        name: str, qtype: str, *_: object, **__: object
    ) -> list[tuple[tuple[str, str], object]]:
        name = name.lower().rstrip(".")
        if name == "down.example":
            raise spf.TempError("DNS time-out")
        found: list[tuple[tuple[str, str], object]] = []
        for value in zone.get((name, qtype), ()):
            shown: object = value.rstrip(".")
            if qtype == "TXT":
                shown = (octets(value),)
            elif qtype == "MX":
                preference, target = value.split()
                shown = (int(preference), target.rstrip("."))
            elif qtype == "AAAA":
                shown = ip_address(value).packed
            found.append(((name, qtype), shown))
        return found

    monkeypatch.setattr(spf, "DNSLookup", answers)
    zone[("shop.example", "TXT")] = [txt(record)]
    verdict: str = spf.check2(i=address, s="user@shop.example", h="mail.example")[0]
    return verdict


RECORDS = [
    "v=spf1",
    "v=spf1 -all",
    "v=SPF1 +ALL",
    "v=spf1 ip4:203.0.113.1 ip6:2001:db8::1 -all",
    "v=spf1 ip4:203.0.113.0/30 ~all",
    "v=spf1 ip4:203.0.113.300 -all",
    "v=spf1 ip4:203.0.113.1/33 -all",
    "v=spf1 ip6:203.0.113.1 -all",
    "v=spf1 a -all",
    "v=spf1 a a mx",
    "v=spf1 a/24//64 -all",
    "v=spf1 a:mail.example//126 -all",
    "v=spf1 a:mail.example/24 -all",
    "v=spf1 a:gone.example -all",
    "v=spf1 mx -all",
    "v=spf1 mx/24 -all",
    "v=spf1 ptr:mail.example -all",
    "v=spf1 exists:%{ir}.spf.example -all",
    "v=spf1 exists:%{o}.%{l}.example ~all",
    "v=spf1 exists:%{d2}.%{l1r-}.example ~all",
    "v=spf1 include:esp.example -all",
    "v=spf1 include:soft.example -all",
    "v=spf1 include:other.example -all",
    "v=spf1 include:gone.example -all",
    "v=spf1 include:two.example -all",
    "v=spf1 include:loop.example -all",
    "v=spf1 include:down.example -all",
    "v=spf1 -include:open.example +all",
    "v=spf1 redirect=soft.example",
    "v=spf1 redirect=gone.example",
    "v=spf1 redirect=soft.example redirect=esp.example",
    "v=spf1 -all redirect=open.example",
    "v=spf1 a:x.example a:y.example a:z.example +all",
    "v=spf1 " + "a:mail.example " * 9 + "a:shop.example -all",
    "v=spf1 " + "a:mail.example/32 " * 10 + "a:shop.example -all",
    "v=spf1 unknown=1 exp=why.example -all",
    "v=spf1 nonsense -all",
    "v=spf1 all:x -all",
    "v=spf1 include: -all",
    "v=spf1 a: -all",
    "v=spf1 exists:%{z}.example -all",
    "v=spf1 a:% -all",
]


@pytest.mark.parametrize("record", RECORDS)
def test_the_verdicts_are_those_of_pyspf(record: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ADDRESSES:
        zone = dict(BASE)
        expected = by_pyspf(zone, record, address, monkeypatch)
        judged = check_host(
            ip_address(address), "shop.example", lookup_in(zone), sender="user@shop.example"
        )
        assert (address, judged.verdict) == (address, expected), judged.reason


def _mechanisms() -> Iterator[str]:
    yield from ("all", "a", "mx", "a/24", "mx//64", "ptr", "a:mail.example", "include:esp.example")
    yield from ("include:soft.example", "exists:%{ir}.spf.example", "ip4:203.0.113.0/25")
    yield from ("ip6:2001:db8::/127", "include:gone.example", "a:gone.example", "x:y")


@given(
    st.lists(
        st.builds(
            str.__add__,
            st.sampled_from(["", "+", "-", "~", "?"]),
            st.sampled_from(list(_mechanisms())),
        ),
        max_size=6,
    ),
    st.sampled_from(["", "redirect=soft.example", "redirect=gone.example"]),
    st.sampled_from(ADDRESSES),
)
def test_random_records_too(mechanisms: list[str], modifier: str, address: str) -> None:
    record = " ".join(filter(None, ["v=spf1", *mechanisms, modifier]))
    zone = dict(BASE)
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected = by_pyspf(zone, record, address, monkeypatch)
    judged = check_host(
        ip_address(address), "shop.example", lookup_in(zone), sender="user@shop.example"
    )
    assert judged.verdict == expected, (record, judged.reason)
