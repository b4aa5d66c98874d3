"""What the judge takes at most, held against what its unit allows it."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.host.scanning import Capacity
from mailfleet.host.signing import StreamSigner, check_memory, stream_signers
from mailfleet.model import Fleet
from tests.unit.host.test_scanning import NAME, fleet

pytestmark = pytest.mark.unit

OCTETS = 10_240_000
ORDERS = StreamSigner("orders", "shop.example", message_octets=OCTETS)

# In a process of its own: the limit is that of the unit.
PROGRAM = f"""
import sys
from agent.message.main import Stream
from agent.lib.milter import Message
pieces = sys.stdin.buffer.read().split(b"|")
body = bytearray(pieces[0] + pieces[1] * (({OCTETS} - 1000) // len(pieces[1])) + pieces[2])
waiting = bytearray(body)  # the next one, which comes in meanwhile
headers = [(b"From", b" a@shop.example"), (b"Date", b" now"), (b"Content-Type", b" " + pieces[3])]
stream = Stream(frozenset(["shop.example"]), "shop.example", {OCTETS})
print(stream.before_signing(Message(headers, body)).reply)
"""
MIXED = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
SHAPES = {
    "short lines of a part": (MIXED, "日本語日本\r\n", "\r\n--b--\r\n", "multipart/mixed; boundary=b"),
    "one line of a part": (MIXED, "日本", "\r\n--b--\r\n", "multipart/mixed; boundary=b"),
    "an attachment": (MIXED + "ü", "A" * 76 + "\r\n", "\r\n--b--\r\n", "multipart/mixed; boundary=b"),
    "a message that is forwarded": (
        "--b\r\nContent-Type: message/rfc822\r\n\r\n\r\n", "Grüße aus Köln.\r\n", "\r\n--b--\r\n",
        "multipart/mixed; boundary=b",
    ),
    "short lines": ("", "ü\r\n", "", "text/plain; charset=utf-8"),
    "one line": ("", "日本", "", "text/plain; charset=utf-8"),
    "base64 in one line": ("", "AAAA", "", "text/plain"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_message_fits(shape: str) -> None:
    limit = ORDERS.judge_memory * 2**20
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="|".join(SHAPES[shape]).encode(), capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)), check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"\n", b"")


def test_a_host_is_large_enough_for_its_streams_messages() -> None:
    found: Fleet = fleet()
    host = found.host(NAME)
    most = max(signer.judge_memory for signer in stream_signers(found, host))
    assert most == 220
    check_memory(found, host, Capacity(2 * most, 1))
    with pytest.raises(MailfleetError, match="needs up to 220 MB, more than half of it") as error:
        check_memory(found, host, Capacity(2 * most - 1, 1))
    assert "lower message_bytes in [streams." in error.value.hint
