"""The policy service on hosts: DANE before MTA-STS, and nothing goes on where it cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest

from agent.lib import socketmap
from agent.tls_policy import main as agent

pytestmark = pytest.mark.unit

SECURE = "OK secure match=mx.shop.example servername=hostname"
GOOD = "3 1 1 " + "ab" * 32
# Name and type: the records, and whether they are signed.
Zone = dict[tuple[str, str], tuple[list[str], bool]]
SIGNED: Zone = {
    ("shop.example.", "MX"): (["10 mx.shop.example."], True),
    ("mx.shop.example.", "A"): (["192.0.2.1"], True),
    ("_25._tcp.mx.shop.example.", "TLSA"): ([GOOD], True),
}


class Resolver:
    """DNS as a zone says, in place of dnspython's resolver."""

    def __init__(self, zone: Zone, *broken: str) -> None:
        self.zone = zone
        self.broken = broken
        self.asked: list[str] = []
        self.lifetime = 0.0
        self.flags = 0

    async def resolve(self, name: str, kind: str) -> dns.resolver.Answer:
        self.asked.append(f"{name} {kind}")
        if name in self.broken:
            raise dns.resolver.NoNameservers
        if (name, kind) not in self.zone:
            known = any(owner == name for owner, _ in self.zone)
            raise bare(dns.resolver.NoAnswer if known else dns.resolver.NXDOMAIN)
        values, signed = self.zone[name, kind]
        query = dns.message.make_query(name, kind)
        made = dns.message.make_response(query)
        made.answer.append(dns.rrset.from_text(name, 5, "IN", kind, *values))
        if signed:
            made.flags |= dns.flags.AD
        response = dns.message.from_wire(made.to_wire())
        assert isinstance(response, dns.message.QueryMessage)
        asked = query.question[0]
        return dns.resolver.Answer(asked.name, asked.rdtype, asked.rdclass, response)


def bare(kind: type[Exception]) -> Exception:
    """An exception without the response that dnspython wants to make one of, and nobody reads."""
    return kind.__new__(kind)


def asked(tmp_path: Path, said: str | bytes | None, resolver: Resolver, request: str) -> str:
    """The service's reply to a request, beside a daemon that says `said`; None: there is none."""

    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await socketmap.read(reader)
        writer.write(said if isinstance(said, bytes) else socketmap.netstring(said or ""))
        writer.close()

    async def run() -> str:
        path, own = str(tmp_path / "daemon"), str(tmp_path / "own")
        server = await asyncio.start_unix_server(daemon, path) if said is not None else None
        policies = agent.Policies(path, cast(dns.asyncresolver.Resolver, resolver))
        served = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await policies.serve(reader, writer)
            served.set()

        async with await asyncio.start_unix_server(serve, own):
            reader, writer = await asyncio.open_unix_connection(own)
            writer.write(socketmap.netstring(request))
            reply = await socketmap.read(reader)
            assert reply is not None
            writer.close()
            await served.wait()
        if server is not None:
            server.close()
        return reply.decode()

    return asyncio.run(run())


Ask = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def do(
        said: str | bytes | None, zone: Zone, *broken: str, next_hop: str = "shop.example"
    ) -> str:
        return asked(tmp_path, said, Resolver(zone, *broken), f"postfix {next_hop}")

    return do


def without(*names: str) -> Zone:
    return {key: value for key, value in SIGNED.items() if key[0] not in names}


def unsigned(name: str) -> Zone:
    return {key: (value[0], value[1] and key[0] != name) for key, value in SIGNED.items()}


def test_where_dane_holds_it_wins(ask: Ask) -> None:
    assert ask(SECURE, SIGNED) == "OK dane-only"


@pytest.mark.parametrize(
    "zone",
    [
        without("_25._tcp.mx.shop.example."),
        unsigned("_25._tcp.mx.shop.example."),
        unsigned("mx.shop.example."),
        # Who forges the MX record brings TLSA records of his own.
        unsigned("shop.example."),
        {**SIGNED, ("_25._tcp.mx.shop.example.", "TLSA"): (["1 1 1 " + "ab" * 32], True)},
        {},
    ],
    ids=[
        "no TLSA",
        "TLSA not signed",
        "address not signed",
        "MX not signed",
        "for the web",
        "nothing",
    ],
)
def test_where_it_does_not_mta_sts_holds(ask: Ask, zone: Zone) -> None:
    assert ask(SECURE, zone) == SECURE


def test_one_mail_server_with_dane_is_enough(ask: Ask) -> None:
    zone: Zone = {
        **SIGNED,
        ("shop.example.", "MX"): (["5 other.example.", "10 mx.shop.example."], True),
        ("other.example.", "A"): (["192.0.2.2"], False),
    }
    assert ask(SECURE, zone) == "OK dane-only"


def test_a_domain_without_mx_is_its_own_mail_server(ask: Ask) -> None:
    zone: Zone = {
        ("shop.example.", "AAAA"): (["2001:db8::1"], True),
        ("_25._tcp.shop.example.", "TLSA"): ([GOOD], True),
    }
    assert ask(SECURE, zone) == "OK dane-only"


@pytest.mark.parametrize(
    "next_hop", ["[mx.shop.example]", "[mx.shop.example]:25", "shop.example:25"]
)
def test_every_form_of_a_next_hop(ask: Ask, next_hop: str) -> None:
    assert ask(SECURE, SIGNED, next_hop=next_hop) == "OK dane-only"


@pytest.mark.parametrize("said", ["NOTFOUND ", "TEMP later"])
def test_without_a_policy_nothing_is_looked_up(tmp_path: Path, said: str) -> None:
    resolver = Resolver(SIGNED)
    assert asked(tmp_path, said, resolver, "postfix shop.example") == said
    assert resolver.asked == []


@pytest.mark.parametrize(
    "broken", ["shop.example.", "mx.shop.example.", "_25._tcp.mx.shop.example."]
)
def test_mail_waits_where_dns_does_not_answer(ask: Ask, broken: str) -> None:
    assert ask(SECURE, SIGNED, broken).startswith("TEMP ")


def test_a_broken_tlsa_look_up_below_an_unsigned_address_is_no_reason_to_wait(ask: Ask) -> None:
    assert ask(SECURE, unsigned("mx.shop.example."), "_25._tcp.mx.shop.example.") == SECURE


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "does not answer: No such file or directory"),
        (b"", "hung up"),
        (b"12:OK", "was cut off"),
        (b"no netstring", "was cut off"),
        (b"x:abc,", "is no netstring"),
        (b"2:OKx", "is no netstring"),
        (b"99999:", "is no netstring"),
        (b"1" * 20_000, "is no netstring"),
        ("OK may", "unusable MTA-STS policy: 'may'"),
        (
            "OK secure match=a.example protocols=TLSv1 servername=hostname",
            "unusable MTA-STS policy",
        ),
        ("OK secure match=a.example\n servername=hostname", "unusable MTA-STS policy"),
    ],
)
def test_mail_waits_where_the_daemon_says_nothing_sensible(ask: Ask, said: Any, words: str) -> None:
    reply = ask(said, SIGNED)
    assert reply.startswith("TEMP ")
    assert words in reply
    assert "\n" not in reply
