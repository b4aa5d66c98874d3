"""What a message becomes before it is signed, so that no server on the way has to change it."""

from __future__ import annotations

import base64
import email
import quopri
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.lib.author import RefusedError
from agent.lib.milter import Message
from agent.message import mime
from agent.message.transport import LINE, Changes, has_long_line, safe

pytestmark = pytest.mark.unit

LINES = 500_000
UTF8 = "Grüße, 日本".encode()
LONG = b"y" * 1500


def message(*headers: tuple[bytes, bytes], body: bytes = b"Hello.\r\n") -> Message:
    return Message([(b"Subject", b" s"), *headers], bytearray(body))


def typed(kind: bytes, body: bytes, encoding: bytes = b"") -> Message:
    more = [(b"Content-Transfer-Encoding", b" " + encoding)] if encoding else []
    mime = (b"MIME-Version", b" 1.0")
    return message(mime, (b"Content-Type", b" " + kind), *more, body=body)


def applied(before: Message) -> bytes:
    """The message as Postfix has it after the changes."""
    changes = safe(before, LINES)
    headers = list(before.headers)
    for name, number, value in changes.headers:
        places = [i for i, (other, _) in enumerate(headers) if other.lower() == name.lower()]
        headers[places[number - 1]] = (name, value)
    lines = [name + b":" + value for name, value in (*headers, *changes.added)]
    body = bytes(before.body) if changes.body is None else changes.body
    return b"\r\n".join([*(line.replace(b"\n", b"\r\n") for line in lines), b"", body])


def is_safe(text: bytes) -> bool:
    return (
        text.isascii()
        and not {*text} & {*b"\v\f"}
        and all(len(line) <= LINE for line in text.split(b"\r\n"))
    )


def decoded(text: bytes) -> list[bytes]:
    parts = email.message_from_bytes(text, policy=policy.default).walk()
    payloads = [part.get_payload(decode=True) for part in parts if not part.is_multipart()]
    return [payload for payload in payloads if isinstance(payload, bytes)]


@pytest.mark.parametrize("line", [b"Hello.", b"w" * LINE, b""])
def test_a_message_that_is_safe_stays_as_it_is(line: bytes) -> None:
    assert safe(message(body=line + b"\r\n"), LINES) == Changes()


@pytest.mark.parametrize("encoding", [b"", b"7bit", b"8bit", b"binary"])
@pytest.mark.parametrize(
    "text", [UTF8, LONG, UTF8 * 200, b"<p>" + LONG, b"w" * (LINE + 1), b"page 1\r\n\fpage 2 \v 3"]
)
def test_text_is_encoded_and_says_the_same(text: bytes, encoding: bytes) -> None:
    after = applied(typed(b"text/html; charset=utf-8", text + b"\r\n", encoding))
    assert is_safe(after)
    assert decoded(after) == [text + b"\r\n"]


def test_each_part_is_encoded_alone() -> None:
    body = (
        b"--b\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\n" + UTF8
        + b"\r\n--b\r\nX-Odd:  as it is \r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n"
    )  # fmt: skip
    after = applied(typed(b"multipart/mixed; boundary=b", body, b"8bit"))
    assert is_safe(after)
    assert b"X-Odd:  as it is \r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--" in after
    assert b"\nContent-Transfer-Encoding: 7bit\r\n" in after.partition(b"\r\n\r\n")[0] + b"\r\n"
    assert [text.strip() for text in decoded(after)] == [UTF8, b"plain"]


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_encoded_text_in_one_line_is_wrapped(encoding: bytes) -> None:
    text = b"SGVsbG8u" * 300 if encoding == b"base64" else b"=C3=BC" * 300
    before = typed(b"text/plain; charset=utf-8", text + b"\r\n", encoding)
    after = applied(before)
    assert is_safe(after)
    assert decoded(after)[0].strip() in (b"Hello." * 300, "ü".encode() * 300)


@pytest.mark.parametrize(
    ("text", "charset"), [(UTF8, b"utf-8"), (b"Gr\xfc\xdfe", b"unknown-8bit"), (LONG, b"us-ascii")]
)
def test_text_without_mime_headers_gets_them(text: bytes, charset: bytes) -> None:
    head = applied(message(body=text + b"\r\n")).partition(b"\r\n\r\n")[0]
    assert b"\r\nContent-Type: text/plain; charset=" + charset in head
    assert b"\r\nMIME-Version: 1.0" in head


SEALED = b"--b\r\n\r\nTEXT\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"


def test_what_the_sender_signed_has_to_be_safe() -> None:
    kind = b"multipart/signed; boundary=b"
    assert safe(typed(kind, SEALED), LINES) == Changes()
    with pytest.raises(RefusedError, match="multipart/signed has 8-bit text") as refusal:
        safe(typed(kind, SEALED.replace(b"TEXT", UTF8)), LINES)
    assert refusal.value.code == "5.6.3"
    with pytest.raises(RefusedError, match="a line of more than 998 octets"):
        safe(typed(kind, SEALED.replace(b"TEXT", LONG)), LINES)


def test_what_the_sender_signed_within_a_message_has_to_be_safe() -> None:
    """Its neighbours are encoded; within a message that is only forwarded it is somebody else's."""
    neighbour = b"--m\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + UTF8 + b"\r\n--m\r\n"
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n" + SEALED
    mixed = b"multipart/mixed; boundary=m"
    after = applied(typed(mixed, neighbour + signed + b"--m--\r\n"))
    assert is_safe(after)
    assert signed in after
    broken = signed.replace(b"TEXT", UTF8)
    with pytest.raises(RefusedError, match="before it is signed"):
        safe(typed(mixed, neighbour + broken + b"--m--\r\n"), LINES)
    forwarded = b"Content-Type: message/rfc822\r\n\r\nFrom: x@evil.example\r\n" + broken
    after = applied(typed(mixed, neighbour + forwarded + b"--m--\r\n", b"8bit"))
    assert broken in after
    # It still is what it says.
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\n--m" in after


def nested(levels: int, text: bytes) -> bytes:
    start = [
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
        for n in range(levels)
    ]
    end = [b"--b%d--\r\n" % n for n in range(levels, -1, -1)]
    return b"".join((*start, b"--b%d\r\n\r\n" % levels, text, b"\r\n", *end))


def test_structures_have_limits() -> None:
    kind = b"multipart/mixed; boundary=b0"
    assert is_safe(applied(typed(kind, nested(mime.LEVELS - 1, UTF8))))
    with pytest.raises(RefusedError, match="nested more than 30 levels deep"):
        safe(typed(kind, nested(mime.LEVELS, UTF8)), LINES)
    # What needs no encoding is not taken apart.
    assert safe(typed(kind, nested(200, b"text")), LINES) == Changes()
    many = b"".join(b"--b0\r\n\r\n" + UTF8 + b"\r\n" for _ in range(mime.PARTS)) + b"--b0--\r\n"
    assert is_safe(applied(typed(kind, many)))
    with pytest.raises(RefusedError, match="more than 1000 parts"):
        safe(typed(kind, b"--b0\r\n\r\nx\r\n" + many), LINES)
    with pytest.raises(RefusedError, match="more than 3000 lines") as refusal:
        safe(typed(kind, many), 3000)
    assert refusal.value.code == "5.3.4"
    # Text without parts is not told apart.
    assert is_safe(applied(message(body=UTF8 + b"\r\n" * 10)))


@given(
    st.lists(st.sampled_from([b"a" * 500, b"a" * 498, b"a", b"\r", b"\n", b"\r\n"]), max_size=12)
)
@settings(deadline=None)
def test_a_long_line_is_seen(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    expected = any(len(line.removesuffix(b"\r")) > LINE for line in text.split(b"\n"))
    assert has_long_line(text) == expected


def test_a_structure_that_cannot_be_written_back_is_left_or_refused() -> None:
    kind, start = b"multipart/mixed; boundary=b", b"--b  \r\n\r\n"
    assert safe(typed(kind, start + UTF8 + b"\r\n"), LINES) == Changes()
    with pytest.raises(RefusedError, match="quoted-printable or base64"):
        safe(typed(kind, start + LONG + b"\r\n"), LINES)


def test_a_long_header_is_folded_at_white_space() -> None:
    value = b" " + b"word " * 600 + b"end"
    before = message((b"X-Long", b" short"), (b"X-Long", value))
    ((name, number, folded),) = safe(before, LINES).headers
    assert (name, number, folded.replace(b"\n", b"")) == (b"X-Long", 2, value)
    assert is_safe(applied(before))
    with pytest.raises(RefusedError, match="X-Long has more than 998 octets"):
        safe(message((b"X-Long", b" " + b"w" * 1000)), LINES)
    with pytest.raises(RefusedError, match="without white space"):
        safe(message((b"X-Long", b" w" + b" " * 1000)), LINES)


_LINES = st.lists(
    st.sampled_from([b"a", UTF8, LONG, b"", b".", b" x ", b"=", b"--b", b"--b--", b"\t"])
)
_KINDS = [
    b"text/plain; charset=utf-8",
    b"multipart/mixed; boundary=b",
    b"message/rfc822",
    b"x",
    b"image/png",
]


@given(_LINES, st.sampled_from(_KINDS), st.sampled_from([b"", b"8bit", b"base64", b"x-own"]))
@settings(max_examples=200, deadline=None)
def test_wild_text_is_refused_or_has_short_lines(
    lines: list[bytes], kind: bytes, encoding: bytes
) -> None:
    try:
        after = applied(typed(kind, b"\r\n".join([*lines, b""]), encoding))
    except RefusedError:
        return
    assert all(len(line) <= LINE for line in after.split(b"\r\n"))


@pytest.mark.parametrize(
    "text", [b"\xc3\xa9 x=0Ay\r\n", b"<p>one</p>=0A" * 90 + b"\r\n", b"=0D " * 300]
)
def test_line_ends_that_the_sender_encoded_stay(text: bytes) -> None:
    before = typed(b"text/plain; charset=utf-8", text, b"quoted-printable")
    after = message_from_bytes(applied(before))
    assert after["Content-Transfer-Encoding"].strip() == "base64"
    content = after.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.rstrip(b"\r\n") == quopri.decodestring(text).rstrip(b"\r\n")


def test_base64_is_not_decoded() -> None:
    """One digit too many: Python does not decode it, lenient readers do."""
    digits = base64.b64encode(b"%PDF" * 400) + b"A"
    after = message_from_bytes(applied(typed(b"application/pdf", digits + b"\r\n", b"base64")))
    assert "".join(str(after.get_payload()).split()) == digits.decode()


def test_a_part_with_two_encodings_stays_as_it_is() -> None:
    part = b"Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\xc3\xa9\r\n"
    body = b"--b\r\n" + part + b"--b--\r\n"
    assert applied(typed(b"multipart/mixed; boundary=b", body)).endswith(body)


def test_a_header_is_folded_where_the_last_octet_fits() -> None:
    value = b" " + b"x" * 997 + b" more"
    assert is_safe(applied(message((b"X", value))))
