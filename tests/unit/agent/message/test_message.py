"""The judge of messages: what it takes, what it changes, and how it says so to Postfix."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.lib import milter
from agent.lib.configuration import load
from agent.lib.milter import Message, Verdict
from agent.message.main import Stream, serve
from mailfleet.host.signing import StreamSigner
from mailfleet.verify import milter_session
from roles import message as role

pytestmark = pytest.mark.unit

STREAM = Stream(frozenset({"shop.example", "bounce.shop.example"}), "shop.example", 10_240_000)
ORDERS = StreamSigner("orders", "shop.example", ("bounce.shop.example",), message_octets=10_240_000)
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
    path.write_text(
        role.config(
            StreamSigner(
                "orders", "shop.example", ("bounce.shop.example",), message_octets=10_240_000
            )
        )
    )
    assert load(Stream, str(path)) == STREAM


@pytest.mark.parametrize(
    "name", [b"From", b"fRoM", b"Subject", b"to", b"List-Unsubscribe", b"List-Help", b"List-Post"]
)
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
        (b"X-A", b" page 1\f"),
        (b"X-A", b" \v1"),
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


def test_a_sender_of_somebody_else_is_refused() -> None:
    assert judged((b"Sender", b" Shop <bounces@bounce.shop.example>")) == Verdict()
    for value in (b" ceo@bank.example", b" news@news.shop.example", b" root", b""):
        reply = judged((b"Sender", value)).reply
        assert reply.startswith(("550 5.7.1 Sender must be an address", "550 5.6.0 Sender has no"))


def test_a_reply_fits_into_a_line() -> None:
    """RFC 5321, section 4.5.3.1.5: 512 octets with the line's end."""
    long = Stream(frozenset({f"{name * 60}.example" * 4 for name in "ab"}), "a.example", 10_000)
    message = Message([(b"From", b" a@evil.example"), DATE])
    assert len(long.before_signing(message).reply) == 510
    assert len(judged((b"X" * 2000, b" y")).reply) <= 510


def test_many_headers_are_refused() -> None:
    assert judged(*[(b"X", b" y")] * 900) == Verdict()
    assert (
        judged(*[(b"X", b" y")] * 1001).reply == "550 5.6.0 the message has more than 1000 headers"
    )


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


def question(path: str, **ask: Any) -> dict[str, Any]:
    return {"socket": path, "daemon_name": "x", "sender": "a@b", "recipient": "c@d", "body": "Hi\r\n",
            "headers": [["From", " a@shop.example"]], **ask}  # fmt: skip


def asked(tmp_path: Path, judge: milter.Judge, **ask: Any) -> dict[str, Any]:
    """What a client of the protocol, which is not the program's own, is answered over a socket."""
    path = str(tmp_path / "socket")
    given = question(path, **ask)

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


def test_no_more_headers_are_kept_than_any_judge_takes(tmp_path: Path) -> None:
    seen: list[Message] = []

    def accept(message: Message) -> Verdict:
        seen.append(message)
        return Verdict()

    asked(tmp_path, accept, headers=[["X", "y"]] * 10_000)
    asked(tmp_path, accept, headers=[["X", "y" * 50_000]] * 40)
    assert [len(message.headers) for message in seen] == [2001, 5]
    assert [STREAM.before_signing(message).reply[:4] for message in seen] == ["550 "] * 2


LARGE = "x" * 200_000


def test_large_messages_are_judged_one_by_one(tmp_path: Path) -> None:
    path, at_once, judging = str(tmp_path / "socket"), 0, threading.Semaphore(1)

    def judge(message: Message) -> Verdict:
        nonlocal at_once
        assert judging.acquire(blocking=False)
        at_once += 1
        judging.release()
        return Verdict("", body=bytes(message.body))

    async def run() -> list[dict[str, Any]]:
        async with await milter.listen(path, judge):
            return await asyncio.gather(
                *(
                    asyncio.to_thread(milter_session.show, question(path, body=LARGE))
                    for _ in "12345"
                )
            )

    assert [answer["verdict"] for answer in asyncio.run(run())] == ["accept"] * 5
    assert at_once == 5


def test_who_falls_silent_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milter, "_PATIENCE", 0.05)
    path = str(tmp_path / "socket")

    async def run() -> dict[str, Any]:
        async with await milter.listen(path, STREAM.before_signing):
            silent = [await asyncio.open_unix_connection(path) for _ in "123"]
            for _, writer in silent:
                offer = b"O" + struct.pack("!III", 6, 0x1FF, 0x1FFFFF)
                pieces = [offer, b"B" + b"x" * 50_000, b"B" + b"x" * 50_000]
                writer.writelines(struct.pack("!I", len(piece)) + piece for piece in pieces)
            answer = await asyncio.to_thread(milter_session.show, question(path, body=LARGE))
            for reader, writer in silent:
                await reader.read()  # until its end
                writer.close()
            return answer

    assert asyncio.run(run())["reply"].startswith("550 5.6.0 the message has no Date")


def test_systemd_hears_that_the_loop_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sd_notify(3), sd_watchdog_enabled(3)."""
    config = tmp_path / "orders.json"
    config.write_text(role.config(ORDERS))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

        async def run() -> list[bytes]:
            serving = asyncio.create_task(serve(str(config)))
            heard = [await asyncio.to_thread(systemd.recv, 100) for _ in "123"]
            serving.cancel()
            return heard

        assert asyncio.run(run()) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


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
    assert json.loads(role.config(StreamSigner("orders", "shop.example", message_octets=10_240_000))) == {
        "domains": ["shop.example"], "signing_domain": "shop.example", "message_octets": 10_240_000,
    }  # fmt: skip
