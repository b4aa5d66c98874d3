"""Kinds of text, encoding, structure and envelope; see `message_kinds`."""

from __future__ import annotations

from tests.lab.message_kinds import LATIN1, UTF8, Kind, message, mime, parts

LONG = "y" * 1500
LINES = (
    Kind("one line of HTML", mime("text/html; charset=utf-8", "", f"<p>{LONG}</p>\r\n"), says=LONG),
    Kind("one line of 998 octets", message(body="w" * 998 + "\r\n"), says="w" * 998),
    Kind("one line of 999 octets", message(body="w" * 999 + "\r\n"), says="w" * 999),
    Kind(
        "one line of 5,000 Japanese characters",
        mime("text/plain; charset=utf-8", "8bit", "日本語文字" * 1000 + "\r\n"),
        says="日本語文字" * 1000,
    ),
    Kind(
        "one line of 1 MB",
        mime("text/html; charset=utf-8", "8bit", "<b>" + "ü z" * 300_000 + "</b>\r\n"),
        says="ü z" * 300_000,
    ),
    Kind(
        "base64 in one line",
        mime("text/plain; charset=utf-8", "base64", "SGVsbG8u" * 300 + "\r\n"),
        says="Hello." * 300,
    ),
    Kind(
        "quoted-printable in one line",
        mime("text/plain; charset=utf-8", "quoted-printable", "=C3=BC" * 300 + "\r\n"),
        says="ü" * 300,
    ),
    Kind("a Subject of 3,000 octets", message("Subject: " + "word " * 600 + "end")),
    Kind("a From of 900 octets", message(sender=f'From: "{"name " * 170}" <a@shop.test>')),
    Kind(
        "a To of 4,000 octets",
        message("Cc: " + ", ".join(f"recipient{n}@inbox.test" for n in range(180))),
    ),
    Kind(
        "a Subject without blanks",
        message("Subject: " + "w" * 1000),
        550,
        "5.6.0 Subject has more than 998",
        "RFC 5322 §2.1.1, and there is nowhere to fold it",
    ),
    Kind(
        "a long line in a signed part",
        parts(
            "multipart/signed", f"\r\n{LONG}", "Content-Type: application/pgp-signature\r\n\r\nx"
        ),
        550,
        "5.6.0 the text has a line",
        "to encode it would break the sender's own signature",
    ),
)

INNER = (
    f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{UTF8}\r\n"
)
ENCODINGS = (
    Kind(
        "8-bit UTF-8",
        mime("text/plain; charset=utf-8", "8bit", UTF8 + "\r\n"),
        says=UTF8,
        mail_options=("BODY=8BITMIME",),
    ),
    Kind(
        "8-bit, announced as nothing",
        mime("text/plain; charset=utf-8", "8bit", UTF8 + "\r\n"),
        says=UTF8,
    ),
    Kind("8-bit without MIME headers", message("Subject: s", body=UTF8 + "\r\n"), says=UTF8),
    Kind(
        "8-bit that says 7bit", mime("text/plain; charset=utf-8", "7bit", UTF8 + "\r\n"), says=UTF8
    ),
    Kind(
        "8-bit Latin-1",
        mime("text/plain; charset=iso-8859-1", "8bit", LATIN1 + b"\r\n"),
        says="Grüße",
    ),
    Kind("8-bit Latin-1 without MIME headers", message("Subject: s", body=LATIN1 + b"\r\n")),
    Kind("8bit that is ASCII", mime("text/plain", "8bit"), says="Hello."),
    Kind(
        "ISO-2022-JP",
        mime("text/plain; charset=iso-2022-jp", "7bit", "お元気".encode("iso-2022-jp") + b"\r\n"),
        says="お元気",
    ),
    Kind(
        "quoted-printable",
        mime("text/plain; charset=utf-8", "quoted-printable", "Gr=C3=BC=C3=9Fe=20\r\n"),
        says="Grüße",
    ),
    Kind("base64", mime("text/plain; charset=utf-8", "base64", "R3LDvMOfZQ==\r\n"), says="Grüße"),
    Kind(
        "binary data as 8bit",
        mime("application/octet-stream", "8bit", bytes(range(14, 256)) + b"\r\n"),
    ),
    Kind("an encoding that nobody knows", mime("text/plain", "x-own", UTF8 + "\r\n")),
    Kind(
        "format=flowed",
        mime("text/plain; format=flowed; delsp=yes", "7bit", "a long \r\ntext \r\n-- \r\n"),
    ),
    Kind("blanks at line ends", message(body="a  \r\n\t\r\n b \r\n\r\n\r\n")),
    Kind("pages", message(body="page 1\r\n\fpage 2\r\na \v b\r\n"), says="\fpage 2"),
    Kind("control characters", message(body=bytes({*range(1, 32)} - {*b"\r\n"}) + b"\r\n")),
    Kind("lines of dots", message(body="..\r\n...\r\n.x\r\n")),
    Kind("From at a line's start", message(body="From here\r\n>From there\r\n")),
    Kind("no text", message(body="")),
    Kind("empty lines alone", message(body="\r\n\r\n\r\n")),
    Kind(
        "a NUL",
        message(body="a\0b\r\n"),
        550,
        "5.7.1",
        "no mail format allows it, and programs in C end there",
    ),
)

STRUCTURES = (
    Kind(
        "text and HTML in 8 bit",
        parts("multipart/alternative", INNER, INNER.replace("plain", "html")),
        says=UTF8,
    ),
    Kind("8bit at the top", parts("multipart/mixed", INNER, encoding="8bit"), says=UTF8),
    Kind(
        "a forwarded message in 8 bit",
        parts(
            "multipart/mixed",
            f"Content-Type: message/rfc822\r\n\r\nFrom: c@evil.test\r\nSubject: {UTF8}\r\n{INNER}",
        ),
        says=UTF8,
    ),
    Kind(
        "a forwarded message with two From",
        parts(
            "multipart/mixed",
            "Content-Type: message/rfc822\r\n\r\nFrom: c@evil.test\r\nFrom: d@evil.test\r\n\r\nx",
        ),
    ),
    Kind(
        "an attachment with a raw name",
        parts(
            "multipart/mixed",
            f'Content-Type: image/png; name="{UTF8}"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVs',
        ),
    ),
    Kind(
        "a signed message",
        parts(
            'multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"',
            "Content-Type: text/plain\r\n\r\nHello.",
            "Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----",
        ),
    ),
    *(
        Kind(
            f"8 bit in {kind}",
            parts(kind, INNER, f"Content-Type: application/{name}\r\n\r\nx"),
            550,
            f"5.6.3 {kind} has 8-bit text",
            "RFC 1847 §2.1: it must be 7 bit, for it cannot be encoded without breaking its signature",
        )
        for kind, name in (
            ("multipart/signed", "pgp-signature"),
            ("multipart/signed", "pkcs7-signature"),
            ("multipart/encrypted", "pgp-encrypted"),
        )
    ),
    Kind(
        "8 bit in a signed part beside others",
        parts(
            "multipart/mixed",
            INNER,
            f'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n{INNER}\r\n--s--',
        ),
        550,
        "5.6.3 multipart/signed has 8-bit text",
        "as above",
    ),
    Kind(
        "a signed part beside 8 bit",
        parts(
            "multipart/mixed",
            INNER,
            'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\nHello.\r\n--s--',
        ),
        says=UTF8,
    ),
    Kind(
        "a forwarded message with 8 bit in a signed part",
        parts(
            "multipart/mixed",
            "Content-Type: message/rfc822\r\n\r\nFrom: c@evil.test\r\n"
            f'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n{INNER}\r\n--s--',
        ),
        says=UTF8,
    ),
    Kind(
        "S/MIME, opaque, raw",
        mime(
            "application/pkcs7-mime; smime-type=signed-data",
            "8bit",
            bytes(range(128, 256)) + b"\r\n",
        ),
    ),
    Kind(
        "S/MIME, opaque",
        mime("application/pkcs7-mime; smime-type=signed-data", "base64", "SGVsbG8u\r\n"),
    ),
    Kind("a multipart without an end", parts("multipart/mixed", INNER, end="")),
    Kind("a multipart without a boundary", mime("multipart/mixed", "", UTF8 + "\r\n")),
    *(
        Kind(
            f"{levels} levels of parts",
            mime(
                "multipart/mixed; boundary=b0",
                "8bit",
                "".join(
                    f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n"
                    for n in range(levels)
                )
                + f"--b{levels}\r\n{INNER}"
                + "".join(f"--b{n}--\r\n" for n in range(levels, -1, -1)),
            ),
            code,
            text,
            why,
            says=UTF8 if code == 250 else "",
        )
        for levels, code, text, why in (
            (29, 250, "", ""),
            (90, 550, "5.6.0 the parts are nested more than 30", "to encode them takes seconds"),
        )
    ),
    Kind(
        "1,001 parts",
        parts("multipart/mixed", *[INNER] * 1001),
        550,
        "5.6.0 the message has more than 1000 parts",
        "to encode them takes seconds",
    ),
    Kind(
        "a delivery report",
        parts(
            "multipart/report; report-type=delivery-status",
            "\r\nBounced.",
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nAction: failed",
        ),
    ),
    Kind(
        "a calendar",
        mime(
            "text/calendar; method=REQUEST; charset=utf-8",
            "8bit",
            f"BEGIN:VCALENDAR\r\nSUMMARY:{UTF8}\r\nEND:VCALENDAR\r\n",
        ),
        says=UTF8,
    ),
    Kind(
        "an AMP part",
        parts(
            "multipart/alternative",
            INNER,
            "Content-Type: text/x-amp-html\r\n\r\n<!doctype html>" + LONG,
        ),
        says=LONG,
    ),
)

ENVELOPES = (
    Kind(
        "DSN options",
        message(),
        mail_options=("RET=HDRS", "ENVID=abc"),
        rcpt_options=("NOTIFY=FAILURE", "ORCPT=rfc822;x@inbox.test"),
    ),
    Kind("SMTPUTF8", message(f"Subject: {UTF8}"), mail_options=("SMTPUTF8", "BODY=8BITMIME")),
    Kind("SIZE", message(), mail_options=("SIZE=1000",)),
    Kind(
        "SIZE over the limit",
        message(),
        552,
        "5.3.4",
        "10240000 octets are announced",
        mail_options=("SIZE=10240001",),
    ),
    Kind("64 octets before the @", message(), local_part="a" * 29),
    Kind(
        "65 octets before the @",
        message(),
        550,
        "the local part has more than 64 octets",
        "RFC 5321 §4.5.3.1.1",
        local_part="a" * 30,
    ),
    Kind("10 MB", message(body=("x" * 76 + "\r\n") * 129_000)),
    Kind(
        "over 10,240,000 octets",
        message(body=("x" * 76 + "\r\n") * 132_000),
        552,
        "5.3.4",
        "10240000 octets are announced",
    ),
)

TEXTS = (*LINES, *ENCODINGS, *STRUCTURES, *ENVELOPES)
