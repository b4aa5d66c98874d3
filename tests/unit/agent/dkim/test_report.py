"""The DKIM reporter that runs on hosts: what a key is, and whether name servers show it."""

from __future__ import annotations

import base64
import importlib.util
import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.lib import authoritative

pytestmark = pytest.mark.unit

FILE = Path(__file__).resolve().parents[4] / "agent" / "dkim" / "report.py"
NAME = "mta1-eu-1._domainkey.shop.example"
P = "MIIBIjANBgkq" + "A" * 300 + "IDAQAB"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dkim_keys", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def agent() -> ModuleType:
    """The agent: a script that is sent to hosts, and no part of any package."""
    return load()


class NameServer(socketserver.ThreadingUDPServer):
    """Answers each TXT question with `texts`, or with whatever `reply` makes of the question."""

    def __init__(self, *texts: str, reply: Callable[[Any], bytes] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.texts = texts
        self.reply = reply
        self.questions: list[dns.message.Message] = []


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, socket = self.request
        server = self.server
        assert isinstance(server, NameServer)
        query = dns.message.from_wire(data)
        server.questions.append(query)
        if server.reply is not None:
            socket.sendto(server.reply(query), self.client_address)
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        if server.texts:
            answer.answer.append(dns.rrset.from_text(NAME + ".", 5, "IN", "TXT", *server.texts))
        socket.sendto(answer.to_wire(), self.client_address)


Start = Callable[..., str]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts name servers and gives each an address of its own, as far as the agent can see."""
    running: dict[str, NameServer] = {}
    original = dns.query.udp_with_fallback

    def ask(query: Any, where: str, timeout: float) -> Any:
        if where not in running:
            raise OSError(101, "Network is unreachable")
        port = running[where].server_address[1]
        return original(query, "127.0.0.1", timeout=timeout, port=port)

    def begin(*texts: str, **options: Any) -> str:
        server = NameServer(*texts, **options)
        address = f"192.0.2.{len(running) + 1}"
        running[address] = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return address

    monkeypatch.setattr(dns.query, "udp_with_fallback", ask)
    monkeypatch.setattr(begin, "servers", running, raising=False)
    yield begin
    for server in running.values():
        server.shutdown()
        server.server_close()


def record(p: str) -> str:
    """A key record as a zone file has it: strings of at most 255 characters."""
    text = f"v=DKIM1; k=rsa; p={p}"
    return " ".join(f'"{text[i : i + 255]}"' for i in range(0, len(text), 255))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((record(P),), True),
        ((f'"v=DKIM1;k=rsa;p={P[:100]}" "{P[100:]}"',), True),
        ((f'"v=DKIM1; k=rsa; p = {P[:100]}" "{P[100:]} ;"',), True),
        (('"v=spf1 -all"', record(P)), True),
        ((record(P[:-1]),), False),
        ((record(P + "A"),), False),
        ((record(""),), False),
        ((f'"n=p={P[:100]}" "{P[100:]}"',), False),
        (('"p"', '""'), False),
        ((), False),
    ],
)
def test_what_a_server_shows(
    agent: ModuleType, start: Start, texts: tuple[str, ...], expected: bool
) -> None:
    assert agent.shows(start(*texts), NAME, P, 8)[0] is expected


def test_it_asks_without_recursion_for_answers_that_need_no_fragments(
    agent: ModuleType, start: Start
) -> None:
    address = start(record(P))
    agent.shows(address, NAME, P, 8)
    (question,) = start.servers[address].questions  # type: ignore[attr-defined]
    assert not question.flags & dns.flags.RD
    assert (question.edns, question.payload) == (0, 1232)
    assert str(question.question[0]) == f"{NAME}. IN TXT"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (dns.rcode.NXDOMAIN, False),
        (dns.rcode.SERVFAIL, None),
        (dns.rcode.REFUSED, None),
    ],
)
def test_a_refusing_server_says_nothing_of_the_key(
    agent: ModuleType, start: Start, code: dns.rcode.Rcode, expected: bool | None
) -> None:
    def refuse(query: Any) -> bytes:
        answer = dns.message.make_response(query)
        answer.set_rcode(code)
        return answer.to_wire()

    state, why = agent.shows(start(reply=refuse), NAME, P, 8)
    assert state is expected
    assert expected is False or dns.rcode.to_text(code) in why


def test_a_server_that_talks_nonsense_or_not_at_all(
    agent: ModuleType, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agent.shows(start(reply=lambda query: query.to_wire()[:7]), NAME, P, 8)[0] is None
    monkeypatch.setattr(agent, "TIMEOUT", 0.05)
    other = dns.message.make_query("other.example", "TXT")
    state, why = agent.shows(start(reply=lambda _: other.to_wire()), NAME, P, 8)
    assert state is None
    assert "does not answer" in why


def test_a_server_without_a_route_is_not_counted(agent: ModuleType, start: Start) -> None:
    with pytest.raises(authoritative.NoRouteError):
        agent.shows("2001:db8::1", NAME, P, 8)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["yes"], True),
        (["yes", "yes"], True),
        (["yes", "no"], False),
        (["no", "yes"], False),
        (["yes", "unreachable"], True),
        (["unreachable"], None),
        (["yes", "silent"], None),
        (["silent", "no"], False),
        ([], None),
    ],
)
def test_a_key_is_visible_when_all_servers_show_it(
    agent: ModuleType,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[str],
    expected: bool | None,
) -> None:
    monkeypatch.setattr(agent, "TIMEOUT", 0.5)
    texts = {"yes": (record(P),), "no": ()}
    silent = {"reply": lambda _: b""}
    addresses = [
        "2001:db8::1"
        if a == "unreachable"
        else start(**silent)
        if a == "silent"
        else start(*texts[a])
        for a in answers
    ]
    monkeypatch.setattr(agent, "servers", lambda *_: (addresses, []))
    state, why = agent.visible(NAME, P)
    assert state is expected
    assert bool(why) == (state is not True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (dns.exception.Timeout, "the resolver of this host does not answer"),
        (OSError, "its name servers cannot be found: OSError"),
    ],
)
def test_no_servers_found_is_not_knowing(
    agent: ModuleType, monkeypatch: pytest.MonkeyPatch, error: type[Exception], said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(dns.resolver, "zone_for_name", fail)
    assert agent.visible(NAME, P) == (None, said)


def test_a_server_whose_address_the_resolver_does_not_tell_may_lack_the_key(
    agent: ModuleType, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(record(P))
    monkeypatch.setattr(agent, "servers", lambda *_: ([one], ["nothing is known of ns2"]))
    assert agent.visible(NAME, P) == (None, "nothing is known of ns2")


def aliasing(target: str, *texts: str) -> Callable[[Any], bytes]:
    """A server with an alias at the key's name, and the texts at the target where it has them."""

    def reply(query: Any) -> bytes:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        name = str(query.question[0].name)
        if name == f"{NAME}.":
            answer.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", target))
        if texts:
            answer.answer.append(dns.rrset.from_text(target, 5, "IN", "TXT", *texts))
        return answer.to_wire()

    return reply


@pytest.mark.parametrize(
    ("texts", "expected"), [((record(P),), True), ((record("QQ=="),), False), ((), False)]
)
def test_a_key_that_stands_where_an_alias_leads(
    agent: ModuleType,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    texts: tuple[str, ...],
    expected: bool,
) -> None:
    target = "key.host.example."
    own, far = start(reply=aliasing(target)), start(reply=aliasing(target, *texts))
    monkeypatch.setattr(agent, "servers", lambda name, _: ([far if name == target else own], []))
    assert agent.visible(NAME, P)[0] is expected
    # One server for both zones answers at once.
    monkeypatch.setattr(agent, "servers", lambda *_: ([far], []))
    assert agent.visible(NAME, P)[0] is expected


def test_a_key_in_a_delegated_zone(
    agent: ModuleType, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refer(query: Any) -> bytes:
        answer = dns.message.make_response(query)
        cut = "_domainkey.shop.example."
        answer.authority.append(dns.rrset.from_text(cut, 5, "IN", "NS", "ns.host.example."))
        return answer.to_wire()

    above, below = start(reply=refer), start(record(P))
    asked = iter([[above], [below]])
    monkeypatch.setattr(agent, "servers", lambda *_: (next(asked), []))
    assert agent.visible(NAME, P) == (True, "")


def test_before_dnspython_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns", None)  # importing it fails
    monkeypatch.delitem(sys.modules, "agent.lib.authoritative")
    assert load().visible(NAME, P)[0] is None


def test_the_report(
    agent: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    folder = tmp_path / "keys/shop.example"
    folder.mkdir(parents=True)
    (folder / "new.private").write_bytes(pem)
    (folder / "broken.private").write_text("no key\n")
    (folder / "half.private.new").write_bytes(pem)
    table = tmp_path / "orders.key.table"
    table.write_text(f"new._domainkey.shop.example shop.example:new:{folder}/new.private\n")
    monkeypatch.setattr(agent, "FOLDER", str(tmp_path / "keys"))
    monkeypatch.setattr(agent, "KEY_TABLES", str(tmp_path))
    monkeypatch.setattr(agent, "visible", lambda name, _p: (name.startswith("new."), ""))
    agent.main()
    (line,) = capsys.readouterr().out.splitlines()
    reported = json.loads(line)
    for key in reported:
        assert key.pop("owner").startswith(("644 ", "600 ", "664 "))
    assert reported == [
        {"domain": "shop.example", "selector": "broken", "p": None, "bits": None,
         "visible": False, "why": "", "signing": False},
        {"domain": "shop.example", "selector": "new", "p": base64.b64encode(public).decode(),
         "bits": 2048, "visible": True, "why": "", "signing": True},
    ]  # fmt: skip
    assert "PRIVATE" not in line


def test_the_report_of_a_fresh_host(
    agent: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(agent, "FOLDER", str(tmp_path / "keys"))
    monkeypatch.setattr(agent, "KEY_TABLES", str(tmp_path / "none"))
    agent.main()
    assert capsys.readouterr().out == "[]\n"
    assert agent.signing() == set()
