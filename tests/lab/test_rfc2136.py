"""The RFC 2136 driver against a real Knot and a real BIND on loopback.

No mock knows what a name server refuses, and the two refuse in different words.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.tsig
import dns.update
import pytest

from mailfleet.dns.plan.zone import plan
from mailfleet.dns.providers.base import ReverseZones
from mailfleet.dns.providers.rfc2136 import Rfc2136
from mailfleet.dns.providers.rfc2136.tsig import tsig_key
from mailfleet.dns.publish.plan import Publication, ZonePlan
from mailfleet.dns.publish.prepare import PublishError, publish
from mailfleet.dns.records.ptr import reverse_name
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Rfc2136Settings
from mailfleet.secrets import Secret

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = {"knot": "knotd", "bind": "named"}
PACKAGES = {"knot": "knot", "bind": "bind9"}
ZONES = ("example.test", "100.51.198.in-addr.arpa", "0.e.0.0.8.b.d.0.1.0.0.2.ip6.arpa")

pytestmark = pytest.mark.lab

KNOT = """
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    # Half a second by default: on a busy machine Knot would hang up in the middle of a transfer.
    tcp-io-timeout: 10000
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {folder}
key:
  - id: fleet
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: dyn
    key: fleet
    action: [transfer, update]
policy:
  - id: test
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    acl: dyn
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
    dnssec-signing: on
    dnssec-policy: test
zone:
{zones}
"""

BIND = """
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
}};
controls {{ }};
key "fleet" {{ algorithm hmac-sha256; secret "{secret}"; }};
{zones}
"""

BIND_ZONE = """
zone "{name}" {{
    type primary;
    file "{name}.zone";
    update-policy {{ deny fleet name denied.example.test ANY; grant fleet zonesub ANY; }};
    allow-transfer {{ key fleet; }};
    dnssec-policy default;
    inline-signing no;
}};
"""

ZONE = """
@ 3600 SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 5
@ 3600 NS ns.example.test.
"""


@dataclass
class Server:
    port: int
    secret: str

    def driver(self, secret: str | None = None, key: str = "fleet", fleet: str = "prod") -> Rfc2136:
        peer = Rfc2136Settings(server="127.0.0.1", port=self.port, key=key)
        return Rfc2136(peer, tsig_key(key, Secret(secret or self.secret)), fleet)

    def add(self, name: str, ttl: int, rtype: str, *values: str) -> None:
        update = dns.update.UpdateMessage("example.test", keyring=self.driver()._server.key)
        update.add(name, ttl, rtype, *values)
        dns.query.tcp(update, "127.0.0.1", port=self.port, timeout=5)

    def ask(self, name: str, rtype: str) -> dns.message.Message:
        query = dns.message.make_query(name, rtype)
        return dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=5)


@pytest.fixture(params=["knot", "bind"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    kind: str = request.param
    program = shutil.which(PROGRAMS[kind], path=PATH)
    if program is None:
        pytest.skip(f"needs {PROGRAMS[kind]}: apt-get install {PACKAGES[kind]}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    for name in ZONES:
        (tmp_path / f"{name}.zone").write_text(f"$ORIGIN {name}.\n{ZONE}")
    with (tmp_path / "example.test.zone").open("a") as file:
        file.write("ns 3600 A 127.0.0.1\n")
    conf = tmp_path / "server.conf"
    if kind == "knot":
        zones = "\n".join(f"  - domain: {name}." for name in ZONES)
        conf.write_text(KNOT.format(port=port, folder=tmp_path, secret=secret, zones=zones))
        command = [program, "-c", str(conf)]
    else:
        zones = "\n".join(BIND_ZONE.format(name=name) for name in ZONES)
        conf.write_text(BIND.format(port=port, folder=tmp_path, secret=secret, zones=zones))
        command = [program, "-g", "-n", "1", "-c", str(conf)]
    with (tmp_path / "log").open("w") as log:
        with subprocess.Popen(command, stdout=log, stderr=log) as running:
            try:
                _wait(port, tmp_path / "log")
                yield Server(port, secret)
            finally:
                running.terminate()


def _wait(port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            query = dns.message.make_query(ZONES[-1], "SOA")
            if dns.query.udp(query, "127.0.0.1", port=port, timeout=0.5).answer:
                return
        except (OSError, dns.exception.Timeout):
            pass
        time.sleep(0.05)
    pytest.fail(f"the name server does not answer: {log.read_text()[-2000:]}")


def desired(*extra: RRset) -> list[RRset]:
    return [
        rrset("example.test", "TXT", 300, txt("v=spf1 ip4:198.51.100.1 -all")),
        rrset("example.test", "MX", 300, "10 mta1.eu.example.test."),
        rrset("mta1.eu.example.test", "A", 300, "198.51.100.1"),
        rrset("mta1.eu.example.test", "AAAA", 300, "2001:db8:e0::1"),
        rrset("k1._domainkey.example.test", "TXT", 300, txt("v=DKIM1; k=rsa; p=" + "A" * 700)),
        *extra,
    ]


def push(driver: Rfc2136, zone: str, wanted: list[RRset], **options: object) -> int:
    snapshot = driver.read(zone)
    made = plan(snapshot, wanted, **options)  # type: ignore[arg-type]
    assert not made.conflicts
    driver.apply(made, snapshot)
    return len(made.changes)


def reverse_zone(driver: Any, address: Address) -> str | None:
    """The zone of one address's PTR record."""
    assert isinstance(driver, ReverseZones)
    zones: dict[Address, str] = driver.reverse_zones({address: reverse_name(address)})
    return zones.get(address)


def test_a_second_push_changes_nothing(server: Server) -> None:
    driver = server.driver()
    assert push(driver, "example.test", desired()) == 5
    again = plan(server.driver().read("example.test"), desired())
    assert again.is_empty
    answer = server.ask("k1._domainkey.example.test", "TXT").answer[0][0]
    assert b"".join(answer.strings) == b"v=DKIM1; k=rsa; p=" + b"A" * 700


def test_foreign_records_stay(server: Server) -> None:
    # A server may hold a TXT in other strings than we would write it in.
    server.add("@", 77, "TXT", '"google-site" "-verification=abc"')
    server.add("www", 60, "A", "198.51.100.99")
    driver = server.driver()
    push(driver, "example.test", desired())
    push(driver, "example.test", [rrset("example.test", "TXT", 300, txt("v=spf1 -all"))])
    answer = server.ask("example.test", "TXT").answer[0]
    assert {r.to_text() for r in answer} == {
        '"google-site" "-verification=abc"',
        '"v=spf1 -all"',
    }
    assert answer.ttl == 77
    push(driver, "example.test", [])
    left = {(r.name, r.type) for r in driver.read("example.test").records}
    assert left == {("example.test", "TXT"), ("www.example.test", "A"), ("ns.example.test", "A")}
    assert not server.ask("_mailfleet.example.test", "TXT").answer


def test_values_beside_ours_stay(server: Server) -> None:
    driver = server.driver()
    push(driver, "example.test", desired())
    server.add("k1._domainkey", 300, "TXT", '"v=DKIM1; p=QUJD"')
    server.add("mta1.eu", 300, "A", "198.51.100.77")
    made = plan(driver.read("example.test"), desired())
    assert [conflict.name for conflict in made.conflicts] == ["k1._domainkey.example.test"]
    assert made.changes == ()
    push(driver, "example.test", [])
    left = {(r.name, r.values) for r in driver.read("example.test").records}
    assert left >= {
        ("k1._domainkey.example.test", ('"v=DKIM1; p=QUJD"',)),
        ("mta1.eu.example.test", ("198.51.100.77",)),
    }


def test_a_secret_of_other_letters_is_explained() -> None:
    with pytest.raises(MailfleetError, match="is not base64"):
        tsig_key("fleet", Secret("pä=="))


def test_two_fleets_share_a_zone(server: Server) -> None:
    push(server.driver(), "example.test", desired())
    other = [rrset("mta9.example.test", "A", 300, "198.51.100.9")]
    push(server.driver(fleet="staging"), "example.test", other)
    assert plan(server.driver().read("example.test"), desired()).is_empty
    push(server.driver(), "example.test", [])
    assert plan(server.driver(fleet="staging").read("example.test"), other).is_empty


def test_a_zone_that_changed_meanwhile_is_not_overwritten(server: Server) -> None:
    driver = server.driver()
    snapshot = driver.read("example.test")
    made = plan(snapshot, desired())
    server.add("mta1.eu", 60, "A", "198.51.100.77")
    with pytest.raises(MailfleetError, match=r"changed by somebody else.*\n.*run the command"):
        driver.apply(made, snapshot)
    # All or nothing: the record sets that nobody touched were not written either.
    assert not server.ask("example.test", "MX").answer


def test_cname_makes_room(server: Server) -> None:
    driver = server.driver()
    alias = [rrset("smtp.example.test", "CNAME", 300, "mta1.eu.example.test.")]
    push(driver, "example.test", alias)
    push(driver, "example.test", [rrset("smtp.example.test", "A", 300, "198.51.100.1")])
    assert server.ask("smtp.example.test", "A").answer[0][0].to_text() == "198.51.100.1"


def test_a_plan_larger_than_a_message(server: Server) -> None:
    many = [
        rrset(f"k{n}._domainkey.example.test", "TXT", 300, txt(f"v=DKIM1; p={n:04}" + "A" * 700))
        for n in range(300)
    ]
    driver = server.driver()
    assert push(driver, "example.test", many) == 300
    assert plan(driver.read("example.test"), many).is_empty
    assert push(driver, "example.test", []) == 300
    assert driver.read("example.test").owned == {}


@pytest.mark.parametrize("server", ["bind"], indirect=True)
def test_a_name_that_the_servers_policy_denies_stops_no_other(server: Server) -> None:
    denied = rrset("denied.example.test", "A", 300, "198.51.100.9")
    driver = server.driver()
    snapshot = driver.read("example.test")
    made = plan(snapshot, desired(denied))
    with pytest.raises(PublishError, match=r"denied\.example\.test A: .*REFUSED"):
        publish(Publication((ZonePlan(driver, made, snapshot),)))
    again = plan(server.driver().read("example.test"), desired(denied))
    assert [change.key for change in again.changes] == [denied.key]
    assert plan(server.driver().read("example.test"), desired()).is_empty


def test_reverse_zones_are_found_at_the_server(server: Server) -> None:
    driver = server.driver()
    v4, v6 = ip_address("198.51.100.7"), ip_address("2001:db8:e0::7")
    assert reverse_zone(driver, v4) == "100.51.198.in-addr.arpa"
    assert reverse_zone(driver, v6) == "0.e.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    assert reverse_zone(driver, ip_address("203.0.113.7")) is None
    reverse_names = [rrset("7.100.51.198.in-addr.arpa", "PTR", 300, "mta1.eu.example.test.")]
    push(driver, "100.51.198.in-addr.arpa", reverse_names)
    assert plan(driver.read("100.51.198.in-addr.arpa"), reverse_names).is_empty


@pytest.mark.parametrize(
    ("change", "zone", "said"),
    [
        ({"secret": base64.b64encode(b"x" * 32).decode()}, "example.test", "MAILFLEET_TSIG_FLEET"),
        ({"key": "other"}, "example.test", "key other"),
        ({}, "absent.test", "does not serve absent.test"),
    ],
)
def test_refusals_are_explained(
    server: Server, change: dict[str, str], zone: str, said: str
) -> None:
    with pytest.raises(MailfleetError) as caught:
        server.driver(**change).read(zone)
    assert said in str(caught.value)
    assert server.secret not in str(caught.value)


def test_a_server_that_is_down_is_explained(server: Server) -> None:
    driver = Rfc2136(
        Rfc2136Settings(server="127.0.0.1", port=1, key="fleet"),
        server.driver()._server.key,
        "prod",
    )
    with pytest.raises(MailfleetError, match="refused"):
        driver.read("example.test")
