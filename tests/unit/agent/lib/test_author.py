"""Who a From header says that a message is from: one reading, or a refusal that says why."""

from __future__ import annotations

import email
import email.header
import email.utils
import re
import unicodedata
from email import policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.lib.author import RefusedError, author

pytestmark = pytest.mark.unit

DOMAINS = frozenset({"shop.example", "bounce.shop.example"})


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (" a@shop.example", "a@shop.example"),
        ("a@shop.example", "a@shop.example"),
        (" A <a@SHOP.Example> ", "a@SHOP.Example"),
        (" <a@shop.example>", "a@shop.example"),
        (" bounces@bounce.shop.example", "bounces@bounce.shop.example"),
        (" A very long name\n <a@shop.example>", "a@shop.example"),
        ("\n\tA very long name\n\t<a@shop.example>", "a@shop.example"),
        (' "sales@shop" <a@shop.example>', "a@shop.example"),
        (' "jane@customer.example via Shop" <a@shop.example>', "a@shop.example"),
        (' "Shop <info@shop.example>" <info@shop.example>', "info@shop.example"),
        (r' "say \"hi\", all <3" <a@shop.example>', "a@shop.example"),
        (" =?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@shop.example>", "a@shop.example"),
        (" =?iso-2022-jp?b?GyRCJCo4NTUkGyhC?= <a@shop.example>", "a@shop.example"),
        (" =?utf-8?q?J=C3=BCrgen?= =?utf-8?b?w7w=?= <a@shop.example>", "a@shop.example"),
        # Decoded, it is no address; nor is what people know under no charset of Python's.
        (" =?x-own?q?Gr=FC=DFe?= <a@shop.example>", "a@shop.example"),
        (" =?iso-8859-8-i?b?4eI=?= <a@shop.example>", "a@shop.example"),
        (" =?utf-8*de?q?Gr=C3=BC=C3=9Fe?= <a@shop.example>", "a@shop.example"),
        (" =?utf-8?q?Shop=2C_Ltd=2E_=28EU=29?= <a@shop.example>", "a@shop.example"),
        (" =?utf-8?b?5qWV5Q==?= =?utf-8?b?hobluILloLQ=?= <a@shop.example>", "a@shop.example"),
        (' "jane@customer.example" =?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@shop.example>', "a@shop.example"),
        (" Jürgen 日本 <a@shop.example>", "a@shop.example"),
        (" Shop (EU) <a@shop.example>", "a@shop.example"),
        (" a@shop.example (Shop)", "a@shop.example"),
        (" J. Q. Public <j.q+tag@shop.example>", "j.q+tag@shop.example"),
        (" O'Neil & Co. <a+b=c@shop.example>", "a+b=c@shop.example"),
        (' "a b"@shop.example', '"a b"@shop.example'),
        (" " + "a" * 64 + "@shop.example", "a" * 64 + "@shop.example"),
    ],
)
def test_accepted(value: str, address: str) -> None:
    assert author(value.encode(), DOMAINS) == address


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (" a@evil.example", "5.7.1", "must be an address at bounce.shop.example or shop.example"),
        (" <a@shop.example.evil.example>", "5.7.1", "must be an address at"),
        (" <a@news.shop.example>", "5.7.1", "must be an address at"),
        # Readers that decode first, and look for an address then.
        (
            " =?utf-8?q?Boss_=3Cceo=40bank.example=3E?= <a@shop.example>",
            "5.6.0",
            "in an encoded word",
        ),
        (" =?utf-8?q?ceo=40bank.example=2C?= <a@shop.example>", "5.6.0", "in an encoded word"),
        (" a@shop.example (=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?=)", "5.6.0", "in an encoded word"),
        *(
            (f" {name} <a@shop.example>", "5.6.0", "in an encoded word")
            for name in (
                # Octets that the charset does not have, a charset that Python does not have, a language.
                *(
                    "=?utf-8?q?=3Cceo=40bank.example=3E=FF?=",
                    "=?x-own?q?=3Cceo=40bank.example=3E?=",
                ),
                *(
                    "=?utf-8*en?q?=3Cceo=40bank.example=3E?=",
                    "=?utf-8_?q?=3Cceo=40bank.example=3E?=",
                ),
                *("=??q?=3Cceo=40bank.example=3E?=", "=?utf-8?q?a?b=3Cceo=40bank.example=3E?="),
                "=?ucs-2?b?ADwAYwBlAG8AQABiAGEAbgBrAC4AdABlAHMAdAA+?=",
                # A digit too many.
                "=?utf-8?b?PGNlb0BiYW5rLmV4YW1wbGU+A?=",
                # Cut in two: each is harmless, or nothing.
                "=?utf-8?q?=3Cceo=40shop.example?= =?utf-8?q?.bank.example=3E?=",
                "=?utf-8?q?=3Cceo=40shop.example?= =?utf-7?q?.bank.example=3E?=",
                "=?iso-2022-jp?q?=1B=24B?= =?iso-2022-jp?q?=3Cceo=40bank.example=3E?=",
                "=?utf-8?q?=3Cceo=40shop.example?=.bank.example",
                # What stands beside them gets another meaning.
                '"Boss =?utf-8?q?=3C?=ceo@bank.example"',
                '"=?utf-8?q?=3Cceo=40bank.example=3E=FF?="',
            )
        ),
        (
            " =?utf-8?q?ceo=EF=BC?= =?utf-8?q?=A0bank.example?= <a@shop.example>",
            "5.6.0",
            "some take",
        ),
        (" =?utf-8?b?Y2Vv=QGJhbms?= <a@shop.example>", "5.6.0", "an encoded word whose base64"),
        (" a@shop.example (=?utf-8?q?x=0D=0ABcc:_z?=)", "5.6.0", "a control character"),
        (" ceo\uff20bank.example <a@shop.example>", "5.6.0", "some take for @"),
        (" =?utf-8?q?=EF=BC=9Cceo?= <a@shop.example>", "5.6.0", "some take for @"),
        (" <a@xshop.example>", "5.7.1", "must be an address at"),
        (" a@shop.example.", "5.7.1", "must be an address at"),
        (" a@evil.example (Shop)", "5.7.1", "must be an address at"),
        (" A <a@shop.example>, B <b@shop.example>", "5.6.0", "more than one address"),
        (" A <a@shop.example>,\n B <b@evil.example>", "5.6.0", "more than one address"),
        (" postmaster, a@shop.example", "5.6.0", "a comma"),
        (" Shop, Ltd. <a@shop.example>", "5.6.0", "a comma"),
        (" a@evil.example <a@shop.example>", "5.6.0", "more than one address"),
        (" <postmaster> a@shop.example", "5.6.0", "no address in the form"),
        (" a@shop.example> <evil", "5.6.0", "brackets that do not match"),
        ("", "5.6.0", "no address"),
        (" @shop.example", "5.6.0", "no address in the form"),
        (" Shop", "5.6.0", "no address: write"),
        (" Team: a@shop.example;", "5.6.0", "a group"),
        (" undisclosed:;", "5.6.0", "no address"),
        (" <@evil.example:a@shop.example>", "5.6.0", "a source route"),
        (" a@evil.example (a@shop.example)", "5.6.0", "a comment that programs read differently"),
        (" a@shop.example (a (b) c)", "5.6.0", "a comment that programs read differently"),
        (' "x <a@shop.example>', "5.6.0", "a quotation mark without its partner"),
        (r' "x\" <b@evil.example>" <a@shop.example>', "5.6.0", "a foreign address in its quoted"),
        (' "<b@evil.example>" <a@shop.example>', "5.6.0", "a foreign address in its quoted"),
        (r" x\, <a@shop.example>", "5.6.0", "a backslash outside of quotes"),
        (r' (a\) "b) B <c@news.shop.example> (c" <a@shop.example>', "5.6.0", "a backslash"),
        (' (a) "b) B <c@evil.example> (c" <a@shop.example>', "5.6.0", "a foreign address in its"),
        (' a@shop.example (say "hi")', "5.6.0", "a comment that programs read differently"),
        (" (Shop) a@shop.example", "5.6.0", "a comment that programs read differently"),
        (" a(x)@shop.example", "5.6.0", "a comment that programs read differently"),
        (" a@shop.example (a) (b)", "5.6.0", "a comment that programs read differently"),
        (" =?utf-8?q?Shop,_Ltd.?= <a@shop.example>", "5.6.0", "a comma as =2C"),
        (" [Shop] <a@shop.example>", "5.6.0", "a bracket"),
        (" a@[192.0.2.1]", "5.6.0", "a bracket"),
        (" a @shop.example", "5.6.0", "no address in the form"),
        (" a..b@shop.example", "5.6.0", "no address in the form"),
        (' ""@shop.example', "5.6.0", "more than one way"),
        (" =?utf-8?q?ceo=40evil.example?=@shop.example", "5.6.0", "within its address"),
        (" =?utf-8?b?YQBi?= <a@shop.example>", "5.6.0", "a control character in an encoded word"),
        (" a\x00b <a@shop.example>", "5.6.0", "a control character"),
        (" a\r <a@shop.example>", "5.6.0", "a control character"),
        (" a\u2028b <a@shop.example>", "5.6.0", "a control character"),
        (" " + "a" * 65 + "@shop.example", "5.1.7", "a local part of more than 64 octets"),
        (' "' + "x" * 1000 + '" <a@shop.example>', "5.6.0", "more than 998 octets"),
    ],
)
def test_refused(value: str, code: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refusal:
        author(value.encode(), DOMAINS)
    assert refusal.value.code == code


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(RefusedError, match="8-bit text that is not UTF-8"):
        author(b" J\xfcrgen <a@shop.example>", DOMAINS)


# Pieces in which parsers have been found to differ.
PIECES = st.sampled_from(
    [
        *("a@shop.example", "b@evil.example", "<a@shop.example>", "<b@evil.example>", "ceo", "é"),
        *(
            '"a@shop.example"',
            '"b@evil.example"',
            "(b@evil.example)",
            "=?utf-8?q?b=40evil.example?=",
        ),
        *(
            '"',
            "(",
            ")",
            "\\",
            ",",
            ":",
            ";",
            "<",
            ">",
            "@",
            " ",
            "\n ",
            ".",
            "\t",
            "[",
            "]",
            "\r",
            "!",
        ),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=60))
@example(r'(a\) "b) Boss <b@evil.example> (c" <a@shop.example>')
@settings(max_examples=400, deadline=None)
def test_no_parser_finds_another_address_in_what_is_accepted(value: str) -> None:
    try:
        found = author(b" " + value.encode("utf-8", "replace"), DOMAINS)
    except RefusedError:
        return
    assert found.rpartition("@")[2].lower() in DOMAINS
    plain = value.replace("\n", "")
    assert [address for _, address in email.utils.getaddresses([plain])] == [found]
    header = email.message_from_string(f"From: {plain}\n\n", policy=policy.default)["From"]
    assert [address.addr_spec for address in header.addresses] == [found]


# As mail programs read an encoded word: what they cannot decode they replace, and go on.
WORDS = st.sampled_from([
    "=?utf-8?q?", "=?utf-8?b?", "=?x-own?q?", "=?utf-8*en?q?", "?=", "?= ", "?", "=40", "=3C", "=3E",
    "=FF", "=EF=BC", "=A0", "ceo", "evil.example", "shop.example", "PEA+", " ", '"',
])  # fmt: skip


@given(st.lists(WORDS, max_size=14).map("".join))
@example("=?utf-8?q?=3Cceo=40evil.example=3E=FF?=")
@settings(max_examples=400, deadline=None)
def test_no_reader_that_decodes_first_finds_another_address(name: str) -> None:
    header = f"{name} <a@shop.example>"
    try:
        author(f" {header}".encode(), DOMAINS)
    except RefusedError:
        return
    read = ""
    for text, charset in email.header.decode_header(header):
        name_of_charset = (charset or "ascii").partition("*")[0].replace("x-own", "latin-1")
        read += text if isinstance(text, str) else text.decode(name_of_charset, "replace")
    domains = re.findall(r"@([\w.-]+)", unicodedata.normalize("NFKC", read))
    assert {*map(str.lower, domains)} <= DOMAINS


@pytest.mark.parametrize(
    "piece",
    ["=?q?a?= ", "=?q?q?", "a", "a.", '"', "(", "()", "\\", "<", '""', "a ", "=?", "@", "é"],
)
def test_no_header_takes_long_to_judge(piece: str) -> None:
    """A pattern that tries every way to split would not end at all."""
    for end in ("@shop.example", ""):
        with pytest.raises(RefusedError):
            author((" " + piece * 400 + end).encode()[:990] + b"!", DOMAINS)


def test_another_field_is_called_by_its_name() -> None:
    assert author(b" a@shop.example", DOMAINS, "Sender") == "a@shop.example"
    for value, reason in (
        (b" a@evil.example", "Sender must be an address at bounce.shop.example or shop.example"),
        (b" root", "Sender has no address"),
        (b" \xff", "Sender has 8-bit text that is not UTF-8"),
    ):
        with pytest.raises(RefusedError, match=reason):
            author(value, DOMAINS, "Sender")
