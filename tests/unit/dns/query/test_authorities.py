"""What authoritative servers say, where they leave the rest to others, and where they say nothing."""

from __future__ import annotations

from collections.abc import Callable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from dns.exception import DNSException

from mailfleet.dns.query import authoritative
from mailfleet.dns.query.authoritative import Authority, UnansweredError, ask

pytestmark = pytest.mark.unit

NAME, TARGET = "k._domainkey.shop.example", "key.host.example"
OWN, FAR, OTHER = (Authority(f"ns{n}.example", f"192.0.2.{n}") for n in (1, 2, 3))
SOA = ("shop.example.", 5, "IN", "SOA", "ns. host. 1 2 3 4 5")
Reply = Callable[[dns.message.Message], None]


@pytest.fixture(name="servers")
def _servers(monkeypatch: pytest.MonkeyPatch) -> dict[Authority, Reply]:
    """What each server makes of a question; the target's zone has two servers."""
    replies: dict[Authority, Reply] = {}

    def query(server: Authority, name: str, rtype: str) -> dns.message.Message:
        answer = dns.message.make_response(dns.message.make_query(f"{name}.", rtype))
        answer.flags |= dns.flags.AA
        replies[server](answer)
        return answer

    monkeypatch.setattr(authoritative, "_query", query)
    monkeypatch.setattr(
        dns.resolver, "zone_for_name", lambda *_, **__: dns.name.from_text("host.example")
    )
    monkeypatch.setattr(authoritative, "authorities", lambda *_: ([FAR, OTHER], []))
    return replies


def saying(*rrsets: tuple[object, ...], authority: tuple[object, ...] = ()) -> Reply:
    def reply(answer: dns.message.Message) -> None:
        answer.answer += [dns.rrset.from_text(*entry) for entry in rrsets]  # type: ignore[arg-type]
        if authority:
            answer.authority.append(dns.rrset.from_text(*authority))  # type: ignore[arg-type]

    return reply


def asked() -> list[str]:
    return ask(OWN, NAME, "TXT", dns.resolver.Resolver(configure=False))


ALIAS = (f"{NAME}.", 5, "IN", "CNAME", f"{TARGET}.")
TEXT = (f"{TARGET}.", 5, "IN", "TXT", '"v=DKIM1; p=QQ=="')


def test_an_alias_that_the_server_follows_itself(servers: dict[Authority, Reply]) -> None:
    servers[OWN] = saying(ALIAS, TEXT)
    assert asked() == ['"v=DKIM1; p=QQ=="']
    servers[OWN] = saying(ALIAS, authority=SOA)
    assert asked() == []


def test_what_it_leaves_to_others_counts_where_all_of_them_have_it(
    servers: dict[Authority, Reply],
) -> None:
    referral = ("_domainkey.shop.example.", 5, "IN", "NS", "ns2.example.")
    for own in (saying(ALIAS), saying(authority=referral)):
        servers[OWN] = own
        here = (f"{NAME}.", *TEXT[1:])
        servers[FAR] = servers[OTHER] = saying(TEXT, here)
        assert asked() == ['"v=DKIM1; p=QQ=="']
        servers[OTHER] = saying(authority=SOA)
        assert asked() == []


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTAUTH])
def test_a_server_that_does_not_say_is_no_server_without_the_record(
    servers: dict[Authority, Reply], code: dns.rcode.Rcode
) -> None:
    servers[OWN] = lambda answer: answer.set_rcode(code)
    with pytest.raises(UnansweredError, match=dns.rcode.to_text(code)):
        asked()
    servers[OWN] = saying(ALIAS)
    servers[FAR] = saying(TEXT)
    servers[OTHER] = lambda answer: answer.set_rcode(code)
    with pytest.raises(DNSException):
        asked()


def test_a_name_that_is_not_there(servers: dict[Authority, Reply]) -> None:
    servers[OWN] = lambda answer: answer.set_rcode(dns.rcode.NXDOMAIN)
    assert asked() == []


def test_aliases_that_lead_to_each_other_end(servers: dict[Authority, Reply]) -> None:
    def around(answer: dns.message.Message) -> None:
        name = answer.question[0].name
        target = TARGET if name == dns.name.from_text(NAME) else NAME
        answer.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", f"{target}."))

    servers[OWN] = servers[FAR] = servers[OTHER] = around
    with pytest.raises(UnansweredError, match="lead nowhere"):
        ask(OWN, NAME, "TXT", dns.resolver.Resolver(configure=False), 3)
