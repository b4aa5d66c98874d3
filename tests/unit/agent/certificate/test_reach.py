"""What the certificate agent finds out before it orders: names that could not be validated."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from agent.certificate import reach
from agent.lib import authoritative

pytestmark = pytest.mark.unit

HERE = "127.0.0.1"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A web server of `tmp_path`, which it answers with under every name; its root and port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield str(tmp_path), server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def given(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, set[str]]) -> None:
    """Let name servers know these addresses, and no other name."""

    class Known:
        def __call__(self, name: str) -> set[str]:
            if name not in addresses:
                raise reach.NotReachableError(f"{name} has no address")
            return addresses[name]

    monkeypatch.setattr(reach, "Addresses", Known)


def test_names_that_lead_here_are_no_problem(
    web: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, port = web
    given(monkeypatch, {"a.example": {HERE}, "b.example": {HERE}})
    assert reach.problems(["a.example", "b.example"], [HERE], root, port) == []
    assert [path for path in Path(root).rglob("*") if path.is_file()] == [], (
        "nothing is left behind"
    )


def test_each_name_that_cannot_be_validated_is_named(
    web: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, port = web
    given(monkeypatch, {"a.example": {HERE}, "b.example": {HERE, "127.0.0.2"}})
    assert reach.problems(["a.example", "b.example", "c.example"], [HERE], root, port) == [
        "b.example leads to 127.0.0.2, which is no host of this fleet and does not answer: [Errno 111]"
        f" Connection refused; correct its DNS record, or let port {port} there lead to the fleet",
        "c.example has no address",
    ]


def test_what_leads_here_is_as_good_as_a_host_of_the_fleet(
    web: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service against floods, for one, passes connections on from addresses of its own."""
    root, port = web
    given(monkeypatch, {"a.example": {HERE}})
    assert reach.problems(["a.example"], ["192.0.2.1"], root, port) == []


def test_a_foreign_address_has_to_prove_that_it_leads_here(
    web: tuple[str, int], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, {"a.example": {HERE}})
    other = str(tmp_path_factory.mktemp("other"))
    (found,) = reach.problems(["a.example"], [], other, web[1])
    assert found.startswith(
        f"a.example leads to {HERE}, which is no host of this fleet and does not serve this host's"
        " challenge files (HTTP status 404); correct its DNS record"
    )
    # Of a host of the fleet that cannot be asked from here its peers know enough; of this one nobody.
    monkeypatch.setattr(reach, "served", lambda *_: reach._NO_ROUTE)
    (found,) = reach.problems(["a.example"], [], web[0], web[1])
    assert "no host of this fleet and has no route from here; correct its DNS record" in found


def test_a_server_that_has_other_files(
    web: tuple[str, int], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, {"a.example": {HERE}})
    other = str(tmp_path_factory.mktemp("other"))
    assert reach.problems(["a.example"], [HERE], other, web[1]) == [
        f"a.example at {HERE} port {web[1]} does not serve this host's challenge files"
        " (HTTP status 404)"
    ]


def test_a_server_that_is_down(web: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"a.example": {"127.0.0.2"}})
    (found,) = reach.problems(["a.example"], ["127.0.0.2"], web[0], web[1])
    assert found.startswith(f"a.example at 127.0.0.2 port {web[1]} does not answer: ")


def test_an_address_without_a_way_to_it_is_left_to_its_host(
    web: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without IPv6 cannot ask its peers over it; over IPv4 it has asked the same peers."""
    root, port = web
    given(monkeypatch, {"a.example": {HERE, "2001:db8::1"}, "b.example": {"2001:db8::1"}})
    served = reach.served
    monkeypatch.setattr(
        reach, "served", lambda a, *rest: reach._NO_ROUTE if ":" in a else served(a, *rest)
    )
    assert reach.problems(["a.example", "b.example"], [HERE, "2001:db8::1"], root, port) == [
        "b.example: none of 2001:db8::1 can be reached from here"
    ]


def test_one_good_address_of_each_name_is_enough_where_time_is_short(
    web: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, port = web
    known = {
        "dead-peer.example": {HERE, "127.0.0.2"},
        "foreign.example": {HERE, "127.0.0.3"},
        "dead.example": {"127.0.0.2"},
        "good.example": {HERE},
    }
    given(monkeypatch, known)
    fleet = [HERE, "127.0.0.2"]
    names = [*known, "unknown.example"]
    strict = reach.problems(names, fleet, root, port)
    lenient = reach.problems(names, fleet, root, port, one_address=True)
    assert [text.split()[0] for text in strict] == [
        "dead-peer.example", "foreign.example", "dead.example", "unknown.example",
    ]  # fmt: skip
    assert lenient == strict[2:]


@pytest.mark.parametrize(
    "trouble", [TimeoutError("no answer"), OSError("no route"), dns.exception.Timeout]
)
def test_a_name_server_that_is_silent_is_passed_over(
    trouble: Exception | type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority's resolvers ask the next one, so a renewal must not wait for it."""

    def answer(query: dns.message.Message, server: str, **_: object) -> tuple[object, bool]:
        if server == "192.0.2.1":
            raise trouble
        reply = dns.message.make_response(query)
        if server == "192.0.2.2":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif query.question[0].rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text("a.example.", 60, "IN", "A", HERE))
        return reply, False

    monkeypatch.setattr(dns.query, "udp_with_fallback", answer)
    servers = [f"192.0.2.{n}" for n in (1, 2, 3)]
    monkeypatch.setattr(authoritative, "servers", lambda *_: (servers, []))
    assert reach.Addresses()("a.example") == {HERE}
    monkeypatch.setattr(authoritative, "servers", lambda *_: (servers[:2], []))
    with pytest.raises(reach.NotReachableError, match=r"no name server of a\.example"):
        reach.Addresses()("a.example")
