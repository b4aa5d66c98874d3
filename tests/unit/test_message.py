"""The judge of messages: what it takes, what it changes, and how it says so to Postfix."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent import milter
from agent.message import Stream
from agent.milter import Message, Verdict
from mailfleet.signing import StreamSigner
from mailfleet.verify import milter_session
from roles import message as role

pytestmark = pytest.mark.unit

STREAM = Stream(frozenset({"shop.example", "bounce.shop.example"}), "shop.example")
DATE = (b"Date", b" Fri, 27 Nov 2026 12:00:00 +0000")
PLAIN = [(b"From", b" a@shop.example"), (b"To", b" x@inbox.example"), (b"Subject", b" Hi"), DATE]


def judged(*headers: tuple[bytes, bytes], body: bytes = b"Hello.\r\n") -> Verdict:
    return STREAM.before_signing(Message([*PLAIN, *headers], bytearray(body)))


def signed(*values: bytes) -> str:
    message = Message([(b"DKIM-Signature", value) for value in values])
    return STREAM.after_signing(message).reply


def test_an_ordinary_message_passes_unchanged() -> None:
    assert judged() == Verdict()


def test_the_configuration_is_what_the_role_writes(tmp_path: Path) -> None:
    path = tmp_path / "orders.json"
    path.write_text(role.config(StreamSigner("orders", "shop.example", ("bounce.shop.example",))))
    assert Stream.read(str(path)) == STREAM


@pytest.mark.parametrize("name", [b"From", b"fRoM", b"Subject", b"to", b"List-Unsubscribe"])
def test_a_doubled_header_is_refused(name: bytes) -> None:
    verdict = judged((name, b" x"), (name, b" x"))
    assert verdict.reply == f"550 5.6.0 {name.decode()} stands twice in the headers; one is allowed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Subject", b" x\rFrom: ceo@bank.example"),
        (b"Subject", b" x\n\n y"),
        (b"Subject", b" x\nFrom: y"),
        (b"Subject", b" \0"),
        (b"From ", b" a@shop.example"),
        (b"X-From\xff", b" y"),
    ],
)
def test_a_header_that_others_read_otherwise_is_refused(name: bytes, value: bytes) -> None:
    assert judged((name, value)).reply.startswith("550 5.6.0 ")


def test_headers_that_may_be_repeated_pass() -> None:
    repeated = [
        (b"Received", b" x"),
        (b"Comments", b" x"),
        (b"X-Tag", b" x"),
        (b"Resent-To", b" x"),
    ]
    assert judged(*repeated, *repeated) == Verdict()


def test_the_reason_of_a_refused_from_is_told() -> None:
    verdict = STREAM.before_signing(Message([(b"From", b" a@evil.example"), DATE]))
    assert verdict.reply.startswith("550 5.7.1 From must be an address at")
    assert STREAM.before_signing(Message([])).reply == "550 5.6.0 the message has no From header"
    without = STREAM.before_signing(Message(PLAIN[:-1])).reply
    assert without == "550 5.6.0 the message has no Date header"


def test_large_headers_are_refused_rather_than_cut() -> None:
    assert judged(*[(b"X-Large", b"x" * 900)] * 65) == Verdict()
    assert judged(*[(b"X-Large", b"x" * 900)] * 67).reply.startswith("550 5.6.0 the headers have ")


@pytest.mark.parametrize("value", [b" v=1; d=shop.example; s=x", b" v=1; D = Shop.\n example"])
def test_a_signature_in_the_streams_name_is_taken_out(value: bytes) -> None:
    verdict = judged((b"DKIM-Signature", b" d=other.example"), (b"DKIM-Signature", value))
    assert verdict.headers == ((b"DKIM-Signature", 2, b""),)


def test_only_what_was_signed_as_the_stream_leaves() -> None:
    assert signed(b" v=1; a=rsa-sha256; d=shop.example; s=x; h=From:To; b=abc") == ""
    assert signed(b" d=other.example", b" v=1;\n\td=shop.example; s=x") == ""
    for values in ((), (b" v=1; d=news.shop.example",), (b" v=1; bd=shop.example",), (b" x",)):
        assert signed(*values) == "451 4.7.7 the message was not signed as shop.example, try later"


def asked(tmp_path: Path, judge: milter.Judge, **ask: Any) -> dict[str, Any]:
    """What a client of the protocol, which is not the program's own, is answered over a socket."""
    path = str(tmp_path / "socket")
    given = {"socket": path, "daemon_name": "x", "sender": "a@b", "recipient": "c@d", "body": "Hi\r\n",
             "headers": [["From", " a@shop.example"]], **ask}  # fmt: skip

    async def run() -> dict[str, Any]:
        server = await milter.listen(path, judge)
        async with server:
            return await asyncio.to_thread(milter_session.show, given)

    return asyncio.run(run())


def test_a_client_of_the_protocol_gets_its_answers(tmp_path: Path) -> None:
    seen: list[Message] = []

    def change(message: Message) -> Verdict:
        seen.append(message)
        return Verdict("", ((b"Subject", 1, b" new"),), ((b"X-Added", b" yes"),), b"body")

    answer = asked(tmp_path, change, body="x" * 70_000)
    assert (answer["error"], answer["verdict"]) == ("", "accept")
    assert answer["headers"] == [["Subject", " new"], ["X-Added", " yes"]]
    assert seen == [Message([(b"From", b" a@shop.example")], bytearray(b"x" * 70_000))]


def test_a_refusal_reaches_the_client(tmp_path: Path) -> None:
    answer = asked(
        tmp_path, STREAM.before_signing, headers=[["From", " a@evil.example"], ["Date", " now"]]
    )
    assert answer["verdict"] == "reject"
    assert answer["reply"].startswith("550 5.7.1 From must be")


@pytest.mark.filterwarnings("ignore")
def test_an_error_of_the_judge_lets_nothing_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_message: Message) -> Verdict:
        raise KeyError("bug")

    answer = asked(tmp_path, broken)
    assert answer["reply"] == "451 4.3.0 the message could not be checked, try again later"
    assert "KeyError: 'bug'" in capsys.readouterr().err


def test_the_role_writes_json() -> None:
    assert json.loads(role.config(StreamSigner("orders", "shop.example"))) == {
        "domains": ["shop.example"], "signing_domain": "shop.example",
    }  # fmt: skip
