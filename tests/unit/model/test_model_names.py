"""Names and addresses: what is accepted, in which form it is kept, and the words of a refusal."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mailfleet.model.addresses import is_documentation, is_public, parse_address
from mailfleet.model.names import domain_name, is_within, service_name

pytestmark = pytest.mark.unit

# A slow machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mta1.eu.shop.example", "mta1.eu.shop.example"),
        ("MTA1.Shop.Example.", "mta1.shop.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("日本.example", "xn--wgv71a.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_a_name_is_kept_as_a_labels_in_small_letters(text: str, name: str) -> None:
    assert domain_name(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mta1", "is not fully qualified; write the whole name, e.g. mta1.eu.example.com"),
        ("", "is not fully qualified"),
        (".", "is not fully qualified"),
        ("shop.example..", "is not a valid host name"),
        ("a..example", "is not a valid host name"),
        (" shop.example", "is not a valid host name"),
        ("shop.example\n", "is not a valid host name"),
        ("-a.example", "is not a valid host name"),
        ("a_b.example", "is not a valid host name"),
        ("../../etc/passwd", "is not a valid host name"),
        (f"{'a' * 64}.example", "is not a valid host name"),
        (".".join(["abcdefgh"] * 29), "is not a valid host name"),
        ("192.0.2.1", "ends in a number"),
        ("☃.example", "is not a valid internationalised domain name"),
    ],
)
def test_what_is_no_name_is_refused_in_plain_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^'") as refusal:
        domain_name(text)
    assert reason in str(refusal.value)


@PATIENT
@given(st.one_of(st.text(), st.text(alphabet="aB1-._é。ß\u200d\n", max_size=40)))
@example("xn--.example")
@example("\u0661.\u0662")
def test_any_text_is_a_name_in_its_final_form_or_a_value_error(text: str) -> None:
    try:
        name = domain_name(text)
    except ValueError:
        return
    assert domain_name(name) == name
    assert name.isascii()
    assert name == name.lower()
    assert len(name) <= 253


@PATIENT
@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address


@PATIENT
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_keeps_its_value(address: IPv4Address) -> None:
    assert parse_address(str(address)) == address


@PATIENT
@given(st.ip_addresses(v=6))
def test_an_ipv6_address_keeps_its_value(address: IPv6Address) -> None:
    assume(address.ipv4_mapped is None)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("203.0.113.10/24", "no prefix length"),
        ("203.0.113.010", "write e.g. 203.0.113.10"),
        ("fe80::1%eth0", "write the global address without %eth0"),
        ("::ffff:203.0.113.10", "write 203.0.113.10"),
    ],
)
def test_what_is_no_address_is_refused_with_what_would_be_right(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="'") as refusal:
        parse_address(text)
    assert remedy in str(refusal.value)


def test_addresses_are_judged_by_their_use() -> None:
    documentation = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"]
    assert all(is_documentation(ip_address(text)) for text in documentation)
    assert is_public(ip_address("193.0.6.139"))
    not_public = ["10.0.0.1", "127.0.0.1", "::1", "fe80::1", "fc00::1", "224.0.0.1", "ff0e::1"]
    assert not any(is_public(ip_address(text)) for text in not_public)


def test_a_name_lies_within_whole_labels_only() -> None:
    assert is_within("shop.example", "shop.example")
    assert is_within("news.shop.example", "shop.example")
    assert not is_within("myshop.example", "shop.example")


def test_names_of_records_may_begin_with_an_underscore() -> None:
    assert service_name("_spf.Google.example") == "_spf.google.example"
    assert service_name("a._b.example.") == "a._b.example"
    for text in ("_", "a.__b.example", "_spf", "-x.example"):
        with pytest.raises(ValueError, match=r"name|qualified"):
            service_name(text)
