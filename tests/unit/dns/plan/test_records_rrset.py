"""Record sets: equal when DNS says so, and no octet of a TXT is lost."""

from __future__ import annotations

from typing import cast

import dns.rdata
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import example, given
from hypothesis import strategies as st

from mailfleet.dns.rrset import (
    canonical_name,
    canonical_value,
    from_rdata,
    octets,
    parse_value,
    rrset,
    txt,
    u_labels,
)

pytestmark = pytest.mark.unit


@given(st.binary(max_size=2000))
def test_txt_survives_any_octets(content: bytes) -> None:
    value = txt(content)
    assert octets(value) == content
    parsed = cast(TXT, dns.rdata.from_text("IN", "TXT", value))
    assert all(len(string) <= 255 for string in parsed.strings)
    assert from_rdata(parsed) == value


@given(st.binary(min_size=1, max_size=600), st.integers(1, 255))
def test_txt_is_compared_without_its_splits(content: bytes, size: int) -> None:
    strings = [content[at : at + size] for at in range(0, len(content), size)]
    split = " ".join('"' + "".join(f"\\{octet:03}" for octet in part) + '"' for part in strings)
    assert rrset("a.example", "TXT", 1, split) == rrset("a.example", "TXT", 1, txt(content))


@pytest.mark.parametrize(
    ("rtype", "one", "other"),
    [
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("MX", "10 MTA1.Example.COM.", "10 mta1.example.com"),
        ("PTR", "Mail.Example.com.", "mail.example.com"),
        ("TLSA", "3 1 1 " + "AB" * 32, "3 1 1 " + "ab" * 32),
        ("TXT", "plain", '"plain"'),
    ],
)
def test_equal_values_have_one_form(rtype: str, one: str, other: str) -> None:
    assert canonical_value(rtype, one) == canonical_value(rtype, other)


def test_names_and_values_are_canonical() -> None:
    record = rrset("WWW.Example.COM.", "a", 60, "192.0.2.2", "192.0.2.1", "192.0.2.2")
    assert record.name == "www.example.com"
    assert record.type == "A"
    assert record.values == ("192.0.2.1", "192.0.2.2")


def test_a_value_that_its_type_does_not_allow() -> None:
    with pytest.raises(ValueError, match=r"'192\.0\.2\.300' is no A value"):
        rrset("a.example", "A", 60, "192.0.2.300")


@example(("AAAA", "0:0:0:0:0:ffff:102:304"))
@given(
    st.one_of(
        st.tuples(st.just("A"), st.ip_addresses(v=4).map(str)),
        st.tuples(st.just("AAAA"), st.ip_addresses(v=6).map(str)),
        st.tuples(st.just("AAAA"), st.ip_addresses(v=6).map(lambda address: address.exploded)),
        st.tuples(st.just("PTR"), st.from_regex(r"\A[a-z0-9_.-]{1,80}\.\Z")),
        st.tuples(st.just("A"), st.from_regex(r"\A[0-9.]{1,16}\Z")),
        st.tuples(st.just("AAAA"), st.from_regex(r"\A[0-9a-f:.]{1,40}\Z")),
    )
)
def test_the_short_way_to_the_canonical_form_is_dnspythons(given_value: tuple[str, str]) -> None:
    rtype, value = given_value
    try:
        parsed = parse_value(rtype, value)
    except ValueError:
        with pytest.raises(ValueError, match="is no"):
            canonical_value(rtype, value)
    else:
        assert canonical_value(rtype, value) == from_rdata(parsed)


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("Bücher.Example.", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2008, as the model reads it
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("😺.example", "xn--138h.example"),  # no name of RFC 5891, and in zones all the same
        ("MTA1.EU.Shop.Example.", "mta1.eu.shop.example"),
    ],
)
def test_names_are_kept_as_a_labels(shown: str, kept: str) -> None:
    assert canonical_name(shown) == kept
    assert canonical_name(kept) == kept
    assert canonical_name(u_labels(kept)) == kept
    assert canonical_value("MX", f"10 {shown.rstrip('.')}.") == f"10 {kept}."


@given(st.from_regex(r"\A(xn--)?[a-z0-9-]{1,30}\.example\Z"))
def test_u_labels_of_any_name(name: str) -> None:
    assert isinstance(u_labels(name), str)
