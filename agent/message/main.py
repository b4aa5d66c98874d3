"""Judges each message of a stream before it is signed, and again after that.

    python3 agent.pyz message CONFIG

CONFIG is a JSON file, see `agent.message.config`.
Serves two sockets in the folder RUNTIME_DIRECTORY: `check.sock`,
which Postfix asks before the signer, and `signed.sock`, which it asks last. The first decides who the
message is from (`agent.lib.author`), which headers it may have, and how it is encoded
(`agent.message.transport`); the second lets nothing pass that has
no signature of the stream's own domain. Runs on mail hosts with Debian's own Python, nothing else.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence

from agent.lib import milter, systemd
from agent.lib.author import RefusedError, author
from agent.lib.configuration import load
from agent.lib.milter import Message, Verdict
from agent.message.config import Config
from agent.message.transport import safe

# Those that a message may have once (RFC 5322, section 3.6), in small letters: two readers would look at
# different ones. MIME's and the lists' are of the kind (RFC 2045; RFC 2369, section 2; RFC 8058).
_ONCE = {
    "from", "sender", "reply-to", "to", "cc", "bcc", "date", "subject", "message-id", "in-reply-to",
    "references", "mime-version", "content-type", "content-transfer-encoding", "content-disposition",
    "list-unsubscribe", "list-unsubscribe-post", "list-id", "list-help", "list-subscribe", "list-post",
    "list-owner", "list-archive",
}  # fmt: skip
# OpenDKIM's own limit is 65536 (opendkim.conf(5), MaximumHeaders), and what it adds needs room.
_HEADER_OCTETS = 60_000
# Nobody writes as many; scanners behind us take seconds for ten thousands.
_HEADERS = 1000
# Octets of a reply's line, without its end (RFC 5321, section 4.5.3.1.5).
_REPLY = 510
# Lines of a message whose parts are told apart: each takes memory beside its octets. On average a line
# of ordinary mail is longer than this.
_SHORT_LINE = 16
_FEW_LINES = 100_000
_NAME = re.compile(rb"[!-9;-~]+")
# Signers and judges do not agree whether \v and \f are white space (RFC 6376, section 2.8: they are not).
_STRAY = re.compile(rb"[\0\v\f\r]|\n(?![ \t])")
_SIGNED_BY = re.compile(rb"(?:^|;)d=([^;]+)")


class Stream(Config):
    """Judges the messages of the stream that it is the configuration of."""

    @property
    def lines(self) -> int:
        """Of a message whose parts are told apart."""
        return max(_FEW_LINES, self.message_octets // _SHORT_LINE)

    def before_signing(self, message: Message) -> Verdict:
        """Refuse what can be read in two ways or names somebody else; make the rest safe to transport."""
        try:
            _check_headers(message)
            senders = message.values(b"from")
            if not senders:
                raise RefusedError("5.6.0", "the message has no From header")
            if not message.values(b"date"):
                # Postfix adds Date, but Resent-Date instead where a message has other Resent headers.
                raise RefusedError("5.6.0", "the message has no Date header")
            author(senders[0], self.domains)
            # Mail programs show "SENDER on behalf of FROM".
            for sender in message.values(b"sender"):
                author(sender, self.domains, "Sender")
            changes = safe(message, self.lines)
        except RefusedError as refusal:
            return Verdict(f"550 {refusal.code} {refusal}"[:_REPLY])
        removed = tuple(self._foreign_signatures(message))
        return Verdict("", (*removed, *changes.headers), changes.added, changes.body)

    def after_signing(self, message: Message) -> Verdict:
        """Keep back whatever the stream's signer has not signed."""
        signers = [_signer(value) for value in message.values(b"dkim-signature")]
        if self.signing_domain in signers:
            return Verdict()
        return Verdict(f"451 4.7.7 the message was not signed as {self.signing_domain}, try later")

    def _foreign_signatures(self, message: Message) -> list[tuple[bytes, int, bytes]]:
        """Removals of signatures in the stream's own name that its signer has not made."""
        values = message.values(b"dkim-signature")
        return [
            (b"DKIM-Signature", number, b"")
            for number, value in enumerate(values, 1)
            if _signer(value) == self.signing_domain
        ]


def _signer(value: bytes) -> str:
    """The domain that a signature's header names; empty where it names none."""
    match = _SIGNED_BY.search(b"".join(value.split()).lower())
    return match[1].decode("ascii", "replace") if match else ""


def _check_headers(message: Message) -> None:
    seen: set[str] = set()
    for raw, value in message.headers:
        name = raw.decode("latin-1")
        low = name.lower()
        # What some readers take for the end of a header, or of all headers, hides one from others.
        if not _NAME.fullmatch(raw) or _STRAY.search(value):
            raise RefusedError("5.6.0", f"{name[:60]!r} has a control character or a white space")
        if low in seen and low in _ONCE:
            raise RefusedError("5.6.0", f"{name} stands twice in the headers; one is allowed")
        seen.add(low)
    if len(message.headers) > _HEADERS:
        raise RefusedError("5.6.0", f"the message has more than {_HEADERS} headers")
    octets = sum(len(name) + len(value) + 3 for name, value in message.headers)
    if octets > _HEADER_OCTETS:
        raise RefusedError("5.6.0", f"the headers have more than {_HEADER_OCTETS} octets")


async def serve(config: str) -> None:
    """Serve both sockets for ever."""
    stream, folder = load(Stream, config), os.environ["RUNTIME_DIRECTORY"]
    servers = [
        await milter.listen(f"{folder}/check.sock", stream.before_signing),
        await milter.listen(f"{folder}/signed.sock", stream.after_signing, body=False),
    ]
    await asyncio.gather(systemd.live(), *(server.serve_forever() for server in servers))


def main(arguments: Sequence[str]) -> None:
    """Serve the stream whose configuration is the one argument."""
    (config,) = arguments
    asyncio.run(serve(config))
