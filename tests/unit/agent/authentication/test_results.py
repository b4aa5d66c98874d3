"""The host's own Authentication-Results, from the milter's socket to the header; authres reads it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import authres
import dkim
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.resolver
import nacl.signing
import pytest
import spf
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.authentication import main as inbound
from agent.authentication import results as authentication
from agent.authentication.dmarc import TemporaryError
from agent.authentication.results import FIELDS, Arrival
from mailfleet.verify import authentication as verify
from mailfleet.verify import milter_session

pytestmark = pytest.mark.unit

HOST = "mta1.eu.shop.example"
CLIENT = "192.0.2.1"
ZONE: dict[tuple[str, str], list[str]] = {
    ("bank.example", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
    ("bounce.bank.example", "TXT"): ['"v=spf1 redirect=bank.example"'],
    ("mx.bank.example", "TXT"): ['"v=spf1 a -all"'],
    ("mx.bank.example", "A"): ["192.0.2.1"],
    ("loop.example", "TXT"): ['"v=spf1 include:loop.example"'],
    ("_dmarc.bank.example", "TXT"): ['"v=DMARC1; p=reject"'],
}


def ask(name: str, kind: str, _seconds: float) -> Sequence[Any]:
    if "broken" in name:
        raise TemporaryError(name)
    found = ZONE.get((name.rstrip(".").lower(), kind), [])
    return [dns.rdata.from_text("IN", kind, text) for text in found]


@pytest.fixture(autouse=True)
def lookups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spf, "DNSLookup", spf.DNSLookup)
        authentication.install(ask)
        yield


def key_record(key: rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))


RSA = rsa.generate_private_key(65_537, 2048)


def der(tag: int, *content: bytes) -> bytes:
    data = b"".join(content)
    return bytes([tag, 0x82]) + len(data).to_bytes(2, "big") + data


def unusual(modulus: int, exponent: int) -> str:
    """The record of a key that no library of today makes."""
    numbers = der(0x30, *(der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))
                          for number in (modulus, exponent)))  # fmt: skip
    text = f"p={base64.b64encode(numbers).decode()}"
    return " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))


ED25519 = nacl.signing.SigningKey.generate()
KEYS = {
    "good": key_record(RSA),
    "short": unusual(2**1022 + 1, 65_537),
    "long": unusual(2**8191 + 1, 65_537),
    "slow": unusual(2**4095 + 1, 2**4094 + 1),
    "zero": unusual(0, 0),
    "revoked": '"v=DKIM1; p="',
    "malformed": '"v=DKIM1; p=%%%"',
    "other-use": '"v=DKIM1; k=ed25519; p=AAAA"',
    "large": " ".join(['"v=DKIM1; p=' + "A" * 200 + '"'] + ['"' + "A" * 250 + '"'] * 12),
    "sha1": key_record(RSA).replace("k=rsa", "h=sha1"),
    "edwards": f'"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(ED25519.verify_key)).decode()}"',
}
ZONE.update({(f"{name}._domainkey.bank.example", "TXT"): [text] for name, text in KEYS.items()})

MESSAGE = (
    b"From: Bank <service@bank.example>\r\nTo: orders@shop.example\r\nSubject: Hello\r\n"
    b"\r\nHello,\r\n\r\nthis is  about your account. \r\n\r\n"
)


def sign(message: bytes = MESSAGE, selector: str = "good", **options: Any) -> bytes:
    private = RSA.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    if selector == "edwards":
        private = base64.b64encode(bytes(ED25519))
        options["signature_algorithm"] = b"ed25519-sha256"
    field = dkim.sign(message, selector.encode(), b"bank.example", private, logger=logging.getLogger("x"),
                      **options)  # fmt: skip
    return bytes(field) + message


def arrival(message: bytes, sender: str = "", helo: str = "mx.bank.example") -> Arrival:
    head, _, body = message.partition(b"\r\n\r\n")
    found = Arrival(CLIENT, helo, sender)
    for line in head.replace(b"\r\n\t", b"\n\t").replace(b"\r\n ", b"\n ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        found.add_header(name, value)
    for start in range(0, len(body), 7):
        found.add_body(body[start : start + 7])
    return found


def parsed(value: str) -> list[tuple[str, str, dict[str, str]]]:
    """Method, result and properties of each result, as an independent parser reads them."""
    header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
    assert header.authserv_id == HOST
    return [
        (one.method, one.result, {f"{p.type}.{p.name}": p.value for p in one.properties})
        for one in header.results
    ]


def results(message: bytes, sender: str = "", helo: str = "mx.bank.example") -> dict[str, str]:
    return {m: result for m, result, _ in parsed(arrival(message, sender, helo).results(HOST, ask))}


def test_mail_that_is_what_it_says() -> None:
    value = arrival(sign(), "bounces@bounce.bank.example").results(HOST, ask)
    assert parsed(value) == [
        ("spf", "pass", {"smtp.mailfrom": "bounce.bank.example"}),
        ("dkim", "pass", {"header.d": "bank.example", "header.s": "good"}),
        ("dmarc", "pass", {"header.from": "bank.example"}),
    ]


def test_a_bounce_is_judged_by_its_helo_name() -> None:
    value = arrival(MESSAGE).results(HOST, ask)
    assert parsed(value)[0] == ("spf", "pass", {"smtp.helo": "mx.bank.example"})
    assert results(MESSAGE, helo="[192.0.2.1]") == {"spf": "none", "dkim": "none", "dmarc": "fail"}
    assert results(MESSAGE, helo="localhost")["spf"] == "none"


@pytest.mark.parametrize("form", [b"simple", b"relaxed"])
def test_both_forms_of_a_body(form: bytes) -> None:
    signed = sign(canonicalize=(form, form))
    assert results(signed)["dkim"] == "pass"
    assert results(signed.replace(b"about", b"not about"))["dkim"] == "fail"
    changed = signed.replace(b"is  about", b"is about")
    assert results(changed)["dkim"] == ("pass" if form == b"relaxed" else "fail")


@pytest.mark.parametrize(
    ("message", "dkim_result", "dmarc_result"),
    [
        (MESSAGE, "none", "fail"),
        (sign().replace(b"Subject: H", b"Subject: X"), "fail", "fail"),
        (sign(selector="edwards"), "pass", "pass"),
        (sign(selector="short"), "policy", "fail"),
        (sign(selector="long"), "permerror", "fail"),
        (sign(selector="slow"), "permerror", "fail"),
        (sign(selector="zero"), "policy", "fail"),
        (sign(selector="revoked"), "permerror", "fail"),
        (sign(selector="malformed"), "permerror", "fail"),
        (sign(selector="other-use"), "permerror", "fail"),
        (sign(selector="large"), "permerror", "fail"),
        (sign(selector="sha1"), "permerror", "fail"),
        (sign(selector="missing"), "permerror", "fail"),
        (sign(selector="broken"), "temperror", "temperror"),
        (sign(signature_algorithm=b"rsa-sha1"), "policy", "fail"),
        (sign(length=True), "pass", "pass"),
        (sign(length=True) + b"Buy this!\r\n", "policy", "fail"),
        (sign().replace(b"v=1", b"v=2"), "permerror", "fail"),
        (re.sub(rb" h=[^;]*", b" h=to", sign()), "permerror", "fail"),
        (sign().replace(b"d=bank.example", b"d=evil.example; x=" + b"1" * 5000), "permerror", "fail"),
    ],
)  # fmt: skip
def test_what_signatures_are_worth(message: bytes, dkim_result: str, dmarc_result: str) -> None:
    found = results(message, "a@elsewhere.example")
    assert found == {"spf": "none", "dkim": dkim_result, "dmarc": dmarc_result}


@pytest.mark.parametrize(
    ("sender", "result"),
    [
        ("a@bank.example", "pass"),
        ("a@elsewhere.example", "none"),
        ("a@broken.example", "temperror"),
        ("a@loop.example", "permerror"),
        ('"x@bank.example"@elsewhere.example', "none"),
        ("a@x..example", "none"),
        ("a@[192.0.2.1]", "none"),
    ],
)
def test_spf(sender: str, result: str) -> None:
    assert results(MESSAGE, sender)["spf"] == result


def test_a_second_from_is_no_pass() -> None:
    for head in (b"From: a@bank.example\r\n", b"From: x@evil.example, y@bank.example\r\n"):
        assert results(head + sign())["dmarc"] == "permerror"
    assert results(sign().replace(b"From: Bank", b"X-From: Bank"))["dmarc"] == "permerror"


def test_a_header_that_is_too_large_is_not_searched() -> None:
    for much in (b"X-Field: x\r\n" * FIELDS, b"X-Field: " + b"x" * 131_072 + b"\r\n"):
        found = arrival(much + sign())
        assert len(found.headers) <= FIELDS + 1
        assert results(much + sign()) == {"spf": "pass", "dkim": "policy", "dmarc": "permerror"}


def test_only_the_first_signatures_are_looked_at() -> None:
    value = arrival(b"DKIM-Signature: x\r\n" * 30 + MESSAGE).results(HOST, ask)
    assert [result for method, result, _ in parsed(value) if method == "dkim"] == ["permerror"] * 8


DNS: Any = dns  # its exceptions have no types


class Resolver:
    """Answers, or fails, as dnspython's does."""

    def __init__(self, outcome: BaseException | None) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, str, float]] = []

    def resolve(self, name: str, kind: str, lifetime: float) -> list[str]:
        self.asked.append((name, kind, lifetime))
        if self.outcome:
            raise self.outcome
        return ["record"]


def test_a_name_is_asked_for_as_it_is() -> None:
    """No search list of the host's is tried."""
    resolver = Resolver(None)
    assert authentication.ask_resolver(cast(Any, resolver))("a.example", "TXT", 2.0) == ["record"]
    assert resolver.asked == [("a.example.", "TXT", 2.0)]


@pytest.mark.parametrize(
    ("outcome", "seconds", "temporary"),
    [
        (DNS.resolver.NXDOMAIN(), 1.0, False),
        (DNS.resolver.NoAnswer(response=dns.message.make_query("a.", "TXT")), 1.0, False),
        (DNS.name.LabelTooLong(), 1.0, False),
        (DNS.exception.Timeout(), 1.0, True),
        (DNS.resolver.NoNameservers(), 1.0, True),
        (ConnectionRefusedError(), 1.0, True),
        (None, 0.0, True),
    ],
)
def test_no_answer_is_not_a_no(
    outcome: BaseException | None, seconds: float, temporary: bool
) -> None:
    resolver = authentication.ask_resolver(cast(Any, Resolver(outcome)))
    if temporary:
        with pytest.raises(TemporaryError):
            resolver("a.example", "TXT", seconds)
    else:
        assert resolver("a.example", "TXT", seconds) == []


def test_dns_that_does_not_answer_keeps_no_mail_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look-up takes all the time that it may, by a clock that only look-ups move."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def silent(_name: str, _kind: str, seconds: float) -> Sequence[Any]:
        if seconds <= 0:
            raise TemporaryError("no time is left")
        now[0] += seconds
        raise TemporaryError("no answer")

    authentication.install(silent)
    found = arrival(sign() * 3, "a@bank.example")
    value = found.results(HOST, silent)
    assert {result for _, result, _ in parsed(value)} == {"temperror"}
    assert now[0] <= authentication.PATIENCE


WILD = st.binary(max_size=60).map(lambda text: text.replace(b"\0", b"").replace(b"\n", b"\n "))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([b"From", b"DKIM-Signature", b"dkim-signature", b"X"]), WILD)),
    st.lists(st.tuples(st.sampled_from(list("vasdhbcltxqi")), WILD)),
    st.text(max_size=40), st.text(max_size=40), st.sampled_from([CLIENT, "", "2001:db8::1", "x"]),
)  # fmt: skip
def test_nothing_that_strangers_write_is_an_error_or_a_pass(
    headers: list[tuple[bytes, bytes]],
    tags: list[tuple[str, bytes]],
    sender: str,
    helo: str,
    client: str,
) -> None:
    found = Arrival(client, helo, sender)
    signature = b"; ".join(tag.encode() + b"=" + value for tag, value in tags)
    for header in [*headers, (b"DKIM-Signature", signature)]:
        found.add_header(*header)
    value = found.results(HOST, ask)
    assert all(result != "pass" for _, result, _ in parsed(value))
    assert value.isascii()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.integers(0, 1200), st.binary(min_size=1, max_size=3))
def test_a_signature_that_was_damaged_is_no_error(place: int, octets: bytes) -> None:
    message = sign()
    head = message.index(b"\r\n\r\n")
    place %= head
    damaged = message[:place] + octets.replace(b"\0", b"x") + message[place + len(octets) :]
    assert {"spf", "dkim", "dmarc"} == set(results(damaged))


def asked(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """What a client of the protocol, which is not the program's own, gets over a socket."""
    path = str(tmp_path / "socket")
    given_ = {"socket": path, "daemon_name": "x", "sender": "a@bank.example", "recipient": "c@d",
              "headers": [["From", " Bank <service@bank.example>"]], "body": "Hi\r\n", **more}  # fmt: skip

    async def run() -> dict[str, Any]:
        server = await inbound.listen(path, HOST, ask)
        async with server:
            return await asyncio.to_thread(milter_session.show, given_)

    return asyncio.run(run())


def test_a_client_of_the_protocol_gets_one_header(tmp_path: Path) -> None:
    answer = asked(tmp_path)
    assert (answer["error"], answer["verdict"], len(answer["headers"])) == ("", "accept", 1)
    name, value = answer["headers"][0]
    assert name == "Authentication-Results"
    # The client says that it is at 127.0.0.1.
    assert [(method, result) for method, result, _ in parsed(value)] == [
        ("spf", "fail"), ("dkim", "none"), ("dmarc", "fail"),
    ]  # fmt: skip


def test_an_error_of_ours_lets_the_message_in_without_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Arrival, "results", lambda *_: 1 / 0)
    answer = asked(tmp_path)
    assert (answer["error"], answer["verdict"], answer["headers"]) == ("", "accept", [])
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"headers": [["Authentication-Results", f" {HOST};\n\tspf=none; dkim=none; dmarc=none"]]}, ""),
        ({"headers": [["Authentication-Results", f" {HOST};\n\tspf=none; dmarc=none"]]},
         "Authentication-Results says nothing of dkim; "),
        ({"headers": []}, f"expected one Authentication-Results of {HOST}, found []; "),
        ({"headers": [["Authentication-Results", " other.example; spf=none"]]},
         f"expected one Authentication-Results of {HOST}, found [' other.example; spf=none']; "),
        ({"error": "[Errno 2]"}, "nobody judges SPF, DKIM and DMARC ([Errno 2]); "),
        (None, "the results of SPF, DKIM and DMARC cannot be asked for (python3: not found); "),
    ],
)  # fmt: skip
def test_verify_names_results_that_are_missing(answer: dict[str, Any] | None, found: str) -> None:
    said = json.dumps([{"error": "", **answer}]) if answer else "python3: not found"
    (problem,) = verify.problems(said, HOST) or [""]
    assert problem.startswith(found)
    assert bool(problem) == bool(found)
    assert "systemctl status mailfleet-authentication" in problem or not problem
    assert HOST in verify.command(HOST)
