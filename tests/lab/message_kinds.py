"""Kinds of mail that applications send, odd ones before all, and what becomes of each at submission.

What is accepted has to arrive so that every judge finds the stream's signature good, also at a receiver
without 8BITMIME; what is refused is refused with the code and the words that stand here, for the
reason that `why` gives.
"""

from __future__ import annotations

from dataclasses import dataclass

UTF8 = "Grüße aus Köln, お元気ですか。"
LATIN1 = "Grüße".encode("latin-1")


@dataclass(frozen=True)
class Kind:
    """One message; `content` is sent as it is, with the token of this run for @TOKEN@."""

    name: str
    content: bytes
    code: int = 250
    text: str = ""
    """Part of the reply of a refusal."""
    why: str = ""
    says: str = ""
    """A text that the arrived message has when it is decoded."""
    mail_options: tuple[str, ...] = ()
    rcpt_options: tuple[str, ...] = ()
    local_part: str = ""
    """Of the recipient, before the token."""


def message(*headers: str | bytes, body: str | bytes = "Hello.\r\n", sender: str = "") -> bytes:
    """A message from the stream with more headers; text is UTF-8, and ends with CRLF."""
    lines = [sender or "From: Shop <a@shop.test>", "To: x@inbox.test", *headers]
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return b"\r\n".join([*raw, b"", body if isinstance(body, bytes) else body.encode()])


def mime(kind: str, encoding: str = "", body: str | bytes = "Hello.\r\n") -> bytes:
    """A message with MIME headers."""
    more = [f"Content-Transfer-Encoding: {encoding}"] if encoding else []
    return message("Subject: s", "MIME-Version: 1.0", f"Content-Type: {kind}", *more, body=body)


def parts(kind: str, *inner: str | bytes, encoding: str = "", end: str = "--b--\r\n") -> bytes:
    """A multipart message of parts that bring their own headers."""
    raw = [part if isinstance(part, bytes) else part.encode() for part in inner]
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in raw) + end.encode()
    return mime(f'{kind}; boundary="b"', encoding, body)


def _from(name: str, value: str | bytes, code: int = 250, text: str = "", why: str = "") -> Kind:
    header = b"From: " + (value if isinstance(value, bytes) else value.encode())
    return Kind(
        f"From: {name}",
        message("Subject: s").replace(b"From: Shop <a@shop.test>", header),
        code,
        text,
        why,
    )


TWO_READINGS = "receivers' programs may see another address in it than ours"
NOT_OURS = "it is not an address of the stream"
FROM = (
    _from("an address", "a@shop.test"),
    _from("in brackets", "<a@shop.test>"),
    _from("a quoted name with a comma", '"Shop, Ltd." <a@shop.test>'),
    _from("a name with full stops", "J. Q. Public <a@shop.test>"),
    _from("a quote within quotes", r'"say \"hi\"" <a@shop.test>'),
    _from("an encoded name", "=?utf-8?b?R3LDvMOfZQ==?= <a@shop.test>"),
    _from("a raw UTF-8 name", "Grüße <a@shop.test>"),
    _from("a comment after it", "a@shop.test (Shop)"),
    _from("a comment before it", "Shop (EU) <a@shop.test>"),
    _from("capital letters", "A <A@SHOP.TEST>"),
    _from("folded", "The Shop\r\n <a@shop.test>"),
    _from("folded at once", "\r\n\tThe Shop <a@shop.test>"),
    _from("a customer's address in its name", '"jane@customer.test via Shop" <a@shop.test>'),
    _from("a quoted local part", '"a b"@shop.test'),
    _from("tags in the local part", "a+b=c@shop.test"),
    _from("64 octets before the @", "a" * 64 + "@shop.test"),
    _from(
        "65 octets before the @",
        "a" * 65 + "@shop.test",
        550,
        "5.1.7 From has a local",
        "RFC 5321 §4.5.3.1.1",
    ),
    _from(
        "another stream's", "a@news.shop.test", 550, "5.7.1 From must be an address at", NOT_OURS
    ),
    _from("a stranger's", "a@evil.test", 550, "5.7.1 From must be an address at", NOT_OURS),
    _from("a host of the fleet", "a@mta1.eu.shop.test", 550, "5.7.1 From must be an", NOT_OURS),
    _from("a full stop at its end", "a@shop.test.", 550, "5.7.1 From must be an address", NOT_OURS),
    _from(
        "an escaped bracket",
        r'(a\) "b) Boss <ceo@news.shop.test> (c" <a@shop.test>',
        550,
        "5.6.0 From has a backslash",
        TWO_READINGS,
    ),
    _from(
        "an address in a comment",
        "b@evil.test (a@shop.test)",
        550,
        "5.6.0 From has a comment",
        TWO_READINGS,
    ),
    _from(
        "comments in comments",
        "a@shop.test (a (b) c)",
        550,
        "5.6.0 From has a comment",
        TWO_READINGS,
    ),
    _from(
        "a comment with quotes",
        'a@shop.test (say "hi")',
        550,
        "5.6.0 From has a comment that programs read differently",
        TWO_READINGS,
    ),
    _from(
        "a comment before the address",
        "(Shop) a@shop.test",
        550,
        "5.6.0 From has a comment that programs read differently",
        TWO_READINGS,
    ),
    _from(
        "a comma in an encoded word",
        "=?utf-8?q?Shop,_Ltd.?= <a@shop.test>",
        550,
        "5.6.0 From has a comma or one of",
        "RFC 2047 §5: some readers see two addresses",
    ),
    _from(
        "two addresses",
        "a@shop.test, b@evil.test",
        550,
        "5.6.0 From has more than one",
        TWO_READINGS,
    ),
    _from(
        "two of ours",
        "a@shop.test, b@shop.test",
        550,
        "5.6.0 From has more than one",
        "RFC 5322 §3.6.2 wants a Sender then",
    ),
    _from(
        "an address as the name",
        "a@shop.test <b@evil.test>",
        550,
        "5.6.0 From has more than one",
        TWO_READINGS,
    ),
    _from(
        "brackets in the quoted name",
        '"<b@evil.test>" <a@shop.test>',
        550,
        "5.6.0 From has a foreign",
        TWO_READINGS,
    ),
    _from(
        "a route", "<@evil.test:a@shop.test>", 550, "5.6.0 From has a source route", TWO_READINGS
    ),
    _from("a group", "shop: b@evil.test;", 550, "5.6.0 From is a group", TWO_READINGS),
    _from("an empty group", "undisclosed:;", 550, "5.6.0 From has no address", "it names nobody"),
    _from("nothing", "", 550, "5.6.0 From has no address", "it names nobody"),
    _from("a word", "root", 550, "5.6.0 From has no address", "it names nobody"),
    _from(
        "a comma without quotes",
        "Shop, Ltd. <a@shop.test>",
        550,
        "5.6.0 From has a comma",
        TWO_READINGS,
    ),
    _from(
        "brackets without quotes",
        "[Shop] <a@shop.test>",
        550,
        "5.6.0 From has a bracket",
        TWO_READINGS,
    ),
    _from("an address literal", "a@[192.0.2.1]", 550, "5.6.0 From has a bracket", NOT_OURS),
    _from(
        "an open quote", '"Shop <a@shop.test>', 550, "5.6.0 From has a quotation mark", TWO_READINGS
    ),
    _from(
        "an open bracket", "Shop <a@shop.test", 550, "5.6.0 From has angle brackets", TWO_READINGS
    ),
    _from(
        "a control character encoded",
        "=?utf-8?b?YQBi?= <a@shop.test>",
        550,
        "5.6.0 From has a control",
        "programs in C end the text there",
    ),
    *(
        _from(
            f"{name} around another address",
            f"{words} <a@shop.test>",
            550,
            "5.6.0 From has a foreign address in an encoded word",
            "some readers decode it nevertheless, and look for an address then",
        )
        for name, words in (
            ("an octet of no charset", "=?utf-8?q?=3Cb=40evil.test=3E=FF?="),
            ("a language", "=?utf-8*en?q?=3Cb=40evil.test=3E?="),
            ("two words", "=?utf-8?q?=3Cb=40shop.test?=\r\n =?utf-8?q?.evil.test=3E?="),
        )
    ),
    _from("a charset that nobody knows", "=?x-own?q?Gr=FC=DFe?= <a@shop.test>"),
    _from(
        "an encoded local part",
        "=?utf-8?q?a?=@shop.test",
        550,
        "5.6.0 From has an encoded word",
        "some readers decode it",
    ),
    _from(
        "Latin-1",
        b"Gr\xfc\xdfe <a@shop.test>",
        550,
        "5.6.7 From has 8-bit text",
        "nobody can know its charset",
    ),
)

ONCE = "RFC 5322 §3.6: readers would look at different ones"
HEADERS = (
    *(
        Kind(
            f"{name} twice",
            message(f"{name}: x", f"{name}: y"),
            550,
            f"5.6.0 {name} stands twice",
            ONCE,
        )
        for name in (
            "Subject",
            "Date",
            "Message-ID",
            "Reply-To",
            "Cc",
            "MIME-Version",
            "Content-Type",
            "List-Unsubscribe",
            "List-Help",
        )
    ),
    Kind("To twice", message("To: y@inbox.test"), 550, "5.6.0 To stands twice", ONCE),
    Kind("From twice", message("From: a@shop.test"), 550, "5.6.0 From stands twice", ONCE),
    Kind("From twice, written otherwise", message("fROM: b@evil.test"), 550, "stands twice", ONCE),
    Kind("a Sender of the stream", message("Sender: Shop <bounces@shop.test>")),
    *(
        Kind(
            f"Sender: {value}",
            message(f"Sender: {value}"),
            550,
            text,
            "programs show it beside From",
        )
        for value, text in (
            ("ceo@evil.test", "5.7.1 Sender must be an address at"),
            ("a@news.shop.test", "5.7.1 Sender must be an address at"),
            ("www-data", "5.6.0 Sender has no address"),
        )
    ),
    Kind("no From", message(sender="X-A: b")),
    Kind("no headers", b"\r\nHello.\r\n"),
    *(
        Kind(
            f"{name} in a Subject",
            message(f"Subject: a{character}b"),
            550,
            "5.6.0 'Subject' has a control character",
            "white space to OpenDKIM, text to others: their signatures differ",
        )
        for name, character in (("a vertical tab", "\v"), ("a form feed", "\f"))
    ),
    Kind("ISO-2022-JP in a Subject", message("Subject: \x1b$B$*85\x1b(B")),
    Kind("an empty Subject", message("Subject:")),
    Kind("no blank after the colon", message("Subject:s", "X-A:b")),
    Kind("a Subject of raw UTF-8", message(f"Subject: {UTF8}")),
    Kind("a Subject of raw Latin-1", message(b"Subject: " + LATIN1)),
    Kind(
        "an encoded Subject in two words",
        message("Subject: =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?="),
    ),
    Kind("a fold of blanks alone", message("Subject: a\r\n  \r\n b")),
    Kind(
        "a bulk mail's headers",
        message(
            "Subject: s",
            "List-Unsubscribe: <https://shop.test/u?i=1>, <mailto:u@shop.test>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "List-Id: news <news.shop.test>",
            "Feedback-ID: a:b:c:shop",
            "Precedence: bulk",
            "X-CSA-Complaints: a@shop.test",
        ),
    ),
    Kind(
        "a long folded List-Unsubscribe",
        message(
            "List-Unsubscribe: <https://shop.test/" + "u" * 400 + ">,\r\n <mailto:u@shop.test>"
        ),
    ),
    Kind(
        "an application's Received lines",
        message("Received: from app.internal ([10.0.0.1]) by app; now"),
    ),
    Kind(
        "a signature of its own",
        message("DKIM-Signature: v=1; a=rsa-sha256; d=shop.test; s=x; h=From; bh=x; b=x"),
    ),
    Kind(
        "a signature of another domain",
        message("DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=x; h=From; bh=x; b=x"),
    ),
    Kind("Bcc and Return-Path", message("Bcc: secret@inbox.test", "Return-Path: <b@evil.test>")),
    Kind("200 headers", message(*(f"X-Header-{n}: {'v' * 40}" for n in range(200)))),
    Kind(
        "1,100 headers",
        message(*(f"X-{n}: v" for n in range(1100))),
        550,
        "5.6.0 the message has more than 1000 headers",
        "scanners take seconds for ten thousands",
    ),
    Kind("headers of 50,000 octets", message(*("X-Large: " + "v" * 900 for _ in range(55)))),
    Kind(
        "headers of 70,000 octets",
        message(*("X-Large: " + "v" * 900 for _ in range(77))),
        550,
        "5.6.0 the headers have",
        "the signer takes 65536, and nothing is to be cut",
    ),
    Kind(
        "a header of 150,000 octets",
        message("X-Large: " + "v " * 75_000),
        550,
        "5.6.0 the headers have",
        "Postfix would have cut it at 102400",
    ),
    Kind(
        "Resent headers twice",
        message(
            *("Date: Fri, 27 Nov 2026 12:00:00 +0000", "Resent-From: b@evil.test"),
            *("Resent-To: c@d.test", "Resent-From: e@evil.test"),
        ),
    ),
    Kind(
        "Resent headers without a Date",
        message("Resent-From: b@evil.test"),
        550,
        "5.6.0 the message has no Date",
        "Postfix adds one only where nothing is resent",
    ),
    Kind("Message-ID without brackets", message("Message-ID: 1234")),
    Kind("a Date that is none", message("Date: yesterday")),
)
