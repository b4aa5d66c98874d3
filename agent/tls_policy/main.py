#!/usr/bin/python3
"""Answers Postfix's smtp_tls_policy_maps: what a receiver asks for by MTA-STS, unless DANE holds.

    python3 agent.pyz tls_policy CONFIG

Speaks Postfix's socketmap protocol (socketmap_table(5)) and asks postfix-mta-sts-resolver by the same.
For a domain with a policy it looks for DANE itself: "senders who implement both must not allow a valid
MTA-STS policy to override a failing DANE validation" (RFC 8461, section 2). Where DANE holds it answers
`dane-only`; a mail server of the domain without TLSA records is then left out, for to it neither of the
two would be kept. Whatever cannot be found out defers the mail.

Needs python3-dnspython, and a validating resolver in /etc/resolv.conf whose AD flag can be believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.resolver

from agent.lib import systemd
from agent.lib.configuration import load
from agent.lib.socketmap import LARGEST, ProtocolError, netstring, read
from agent.tls_policy.config import Config

# What the daemon may say: its answer holds parts of a file that a stranger wrote.
_SECURE = re.compile(r"secure match=[a-z0-9.:_-]+ servername=hostname", re.IGNORECASE)
_MAIL_SERVERS = 20  # of one domain; nobody delivers to more
# Longer than the daemon takes to give up on a name server and a web server.
_PATIENCE = 30.0


class PolicyError(Exception):
    """No policy can be given for now; the text goes to Postfix's log."""


class Policies:
    """The policies of receivers, from `daemon` (a socket's path) and DNS."""

    def __init__(self, daemon: str, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._daemon = daemon
        self._resolver = resolver or dns.asyncresolver.Resolver()
        self._resolver.lifetime = 10.0
        # AD in a query asks for AD in the answer (RFC 6840, section 5.7).
        self._resolver.flags = dns.flags.RD | dns.flags.AD

    async def answer(self, request: str) -> str:
        """The reply to one request `NAME NEXTHOP`: `OK ...`, `NOTFOUND ` or `TEMP ...`."""
        try:
            reply = await asyncio.wait_for(self._ask(request), _PATIENCE)
            if not reply.startswith("OK "):
                return reply
            if not _SECURE.fullmatch(reply[3:]):
                raise PolicyError(f"unusable MTA-STS policy: {reply[3:]!r:.200}")
            if await self.has_dane(request.partition(" ")[2]):
                return "OK dane-only"
        except (PolicyError, ProtocolError, dns.exception.DNSException, TimeoutError) as error:
            reason = " ".join(str(error).split()) or "no answer in time"
            print(f"{request}: {reason}", file=sys.stderr, flush=True)
            return f"TEMP {reason}"
        return reply

    async def _ask(self, request: str) -> str:
        try:
            reader, writer = await asyncio.open_unix_connection(self._daemon, limit=LARGEST)
        except OSError as error:
            raise PolicyError(f"the MTA-STS resolver does not answer: {error.strerror}") from None
        try:
            writer.write(netstring(request))
            await writer.drain()
            reply = await read(reader)
        except OSError as error:
            raise PolicyError(f"the MTA-STS resolver hung up: {error.strerror}") from None
        finally:
            writer.close()
        if reply is None:
            raise PolicyError("the MTA-STS resolver hung up")
        return reply.decode("utf-8", "replace")

    async def has_dane(self, next_hop: str) -> bool:
        """Whether a mail server of the domain can be held to TLSA records (RFC 7672, section 2.2)."""
        for server in await self._mail_servers(next_hop):
            # Where a server's zone is not signed, asking for TLSA may fail for no good reason.
            if not await self._signed_address(server):
                continue
            answer = await self._lookup(f"_25._tcp.{server}", "TLSA")
            # Usages 2 and 3 are those of mail (RFC 7672, section 3.1).
            if answer is not None and any(record.usage in (2, 3) for record in answer):
                return True
        return False

    async def _mail_servers(self, next_hop: str) -> list[str]:
        host = re.fullmatch(r"\[([^]]*)\](:\w+)?", next_hop)
        if host:
            return [host[1]]
        domain = next_hop.partition(":")[0]
        try:
            answer = await self._resolver.resolve(f"{domain.rstrip('.')}.", "MX")
        except dns.resolver.NoAnswer:
            return [domain]
        except dns.resolver.NXDOMAIN:
            return []
        # Who can forge the names of mail servers can name his own: then MTA-STS protects, not DANE.
        if not answer.response.flags & dns.flags.AD:
            return []
        records = sorted(answer, key=lambda record: int(record.preference))
        return [str(record.exchange) for record in records[:_MAIL_SERVERS]]

    async def _signed_address(self, server: str) -> bool:
        return any([await self._lookup(server, kind) is not None for kind in ("A", "AAAA")])

    async def _lookup(self, name: str, kind: str) -> dns.resolver.Answer | None:
        """The records of a signed name; None where there are none or they are not signed."""
        try:
            answer = await self._resolver.resolve(f"{name.rstrip('.')}.", kind)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return None
        return answer if answer.response.flags & dns.flags.AD else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client: request after request, until it hangs up."""
        with contextlib.suppress(ProtocolError, OSError):
            while (request := await read(reader)) is not None:
                writer.write(netstring(await self.answer(request.decode("utf-8", "replace"))))
                await writer.drain()
        writer.close()


async def listen(config: Config) -> None:
    """Serve on the configured socket for ever."""
    policies = Policies(config.daemon_socket)
    server = await asyncio.start_unix_server(policies.serve, config.socket, limit=LARGEST)
    await asyncio.gather(systemd.live(), server.serve_forever())


def main(arguments: Sequence[str]) -> None:
    """Serve as the configuration in the one argument says."""
    (path,) = arguments
    asyncio.run(listen(load(Config, path)))
