"""The octoDNS driver with octoDNS's own RFC 2136 class against a real Knot on loopback."""

from __future__ import annotations

import shutil

import pytest

from mailfleet.dns.plan.zone import plan
from mailfleet.dns.providers.octodns import OctoDns
from mailfleet.dns.providers.octodns.api import Arguments
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret
from tests.lab.test_rfc2136 import Server, desired, server

__all__ = ["server"]

pytest.importorskip("octodns_bind", reason="needs octodns-bind, of the extra octodns")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        shutil.which("knotd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None,
        reason="needs knotd: apt-get install knot",
    ),
]

ZONE = "example.test"


def opened(at: Server, key: str = "fleet") -> OctoDns:
    plain = {
        "host": "127.0.0.1",
        "port": at.port,
        "key_name": key,
        "key_algorithm": "hmac-sha256",
    }
    secrets = {"key_secret": Secret(at.secret)}
    return OctoDns(Arguments("octodns_bind.Rfc2136Provider", plain, secrets), "prod")


def push(driver: OctoDns, wanted: list[RRset]) -> int:
    snapshot = driver.read(ZONE)
    made = plan(snapshot, wanted)
    assert driver.audit(made, snapshot) == ()
    driver.apply(made, snapshot)
    return len(made.changes)


def test_a_second_push_changes_nothing(server: Server) -> None:
    assert push(opened(server), desired()) == 5
    again = plan(opened(server).read(ZONE), desired())
    assert again.is_empty
    answer = server.ask(f"k1._domainkey.{ZONE}", "TXT").answer[0][0]
    assert b"".join(answer.strings) == b"v=DKIM1; k=rsa; p=" + b"A" * 700


def test_foreign_records_stay(server: Server) -> None:
    server.add("@", 77, "TXT", '"google-site" "-verification=abc; d"')
    server.add("www", 60, "A", "198.51.100.99")
    push(opened(server), desired())
    push(opened(server), [rrset(ZONE, "TXT", 300, txt("v=spf1 -all"))])
    answer = server.ask(ZONE, "TXT").answer[0]
    texts = {b"".join(r.strings) for r in answer}
    assert texts == {b"google-site-verification=abc; d", b"v=spf1 -all"}
    push(opened(server), [])
    left = {(r.name, r.type) for r in server.driver().read(ZONE).records}
    assert left == {(ZONE, "TXT"), (f"www.{ZONE}", "A"), (f"ns.{ZONE}", "A")}
    assert not server.ask(f"_mailfleet.{ZONE}", "TXT").answer


def test_both_drivers_understand_one_list(server: Server) -> None:
    push(opened(server), desired())
    assert plan(server.driver().read(ZONE), desired()).is_empty


def test_a_wrong_key_is_explained(server: Server) -> None:
    with pytest.raises(MailfleetError, match=r"cannot read the zone example\.test") as caught:
        opened(server, key="other").read(ZONE)
    assert server.secret not in str(caught.value)
