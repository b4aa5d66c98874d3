"""What a lab offers: packages, DNS signed up to a root of its own, and a receiver that judges mail."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from mailfleet import lab
from mailfleet.lab import addresses, namespaces, readiness, requirements
from tests import labs

NAME = labs.of_process("own4")
EU, US = "mta1.eu.shop.test", "mta1.us.shop.test"
SPEC = lab.LabSpec(
    machines=(
        lab.Machine(
            EU, "bookworm", "eu", (ip_address("198.51.100.10"), ip_address("2001:db8:e0::10"))
        ),
        lab.Machine(
            US, "trixie", "us", (ip_address("203.0.113.10"), ip_address("2001:db8:50::10"))
        ),
    ),
    zones=("shop.test",),
)
T = TypeVar("T")


def _may_run() -> bool:
    try:
        requirements.check_platform()
    except lab.LabError:
        return False
    return True


pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not _may_run(), reason="needs Linux and root"),
]


def silent(_: str) -> None:
    """A report that nobody reads."""


def on(host: str, command: str, *, stdin: str = "") -> str:
    """The output of a shell command on a host of the lab."""
    done = subprocess.run(
        [*lab.ssh_command(NAME, host), command], input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(work: Callable[[], T]) -> T:
    """Do `work` within the lab's internet."""
    return namespaces.inside(namespaces.internet(NAME), work)


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    lab.down(NAME, silent)
    lab.up(NAME, SPEC, silent)
    yield NAME
    lab.down(NAME, silent)


def firewalled(host: str) -> str:
    """Install ufw on a host from the mirror, close all but SSH, and tell its view of it."""
    return on(
        host,
        "export DEBIAN_FRONTEND=noninteractive; exec 2>&1; set -e; apt-get -q update >/dev/null;"
        " apt-get -q -y install --no-install-recommends ufw >/dev/null;"
        " ufw allow 22/tcp >/dev/null; ufw --force enable; ufw status verbose",
    )


def test_packages_install_and_a_firewall_works_on_both_suites(running: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        for told in pool.map(firewalled, (EU, US)):
            assert "Status: active" in told
            assert "22/tcp (v6)" in told
    for address in ("198.51.100.10", "2001:db8:e0::10", "203.0.113.10", "2001:db8:50::10"):
        assert inside(functools.partial(readiness.accepts, ip_address(address), 22)), address


def validated(name: str, rdtype: str, resolver: str) -> list[str]:
    """The records that the resolver vouches for."""
    query = dns.message.make_query(name, rdtype, want_dnssec=True)
    answer = inside(lambda: dns.query.udp(query, resolver, timeout=5))
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AD
    wanted = dns.rdatatype.from_text(rdtype)
    return sorted(
        str(rdata) for found in answer.answer if found.rdtype == wanted for rdata in found
    )


def update(zone: str, *records: tuple[str, str, str], secret: str = "") -> dns.message.Message:
    """Publish records in a zone of the lab, with the lab's key unless another secret is given."""
    files = lab.files(NAME)
    keyring = dns.tsigkeyring.from_text({files.tsig.name: secret or files.tsig.secret})
    change = dns.update.UpdateMessage(
        zone,
        keyring=keyring,
        keyname=dns.name.from_text(files.tsig.name),
        keyalgorithm=files.tsig.algorithm,
    )
    for name, rdtype, text in records:
        change.replace(name, 5, rdtype, text)
    return inside(lambda: dns.query.tcp(change, str(files.nameserver[0]), timeout=5))


def test_updates_are_signed_and_validate_up_to_the_labs_root(running: str) -> None:
    assert update("shop.test", ("www", "A", "198.51.100.10")).rcode() == dns.rcode.NOERROR
    assert (
        update(
            "0.0.0.0.0.e.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ("0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0", "PTR", "www.shop.test."),
        ).rcode()
        == dns.rcode.NOERROR
    )
    for resolver in map(str, lab.files(running).resolvers):
        assert validated("www.shop.test", "A", resolver) == ["198.51.100.10"]
        assert validated("v6.inbox.test", "MX", resolver) == ["10 mx6.inbox.test."]
        reverse = ip_address("2001:db8:e0::10").reverse_pointer
        assert validated(reverse, "PTR", resolver) == ["www.shop.test."]


def test_an_update_without_the_labs_key_is_refused(running: str) -> None:
    with pytest.raises(dns.tsig.PeerBadSignature):
        update("shop.test", ("www", "A", "203.0.113.66"), secret="AAAA" * 8)


def test_changes_survive_a_restart_of_the_name_server(running: str) -> None:
    update("shop.test", ("kept", "TXT", '"x"'))
    lab.restart_host(running, "ns")
    assert validated("kept.shop.test", "TXT", str(addresses.RESOLVER[0])) == ['"x"']


def test_the_receiver_judges_what_it_takes(running: str) -> None:
    update("shop.test", ("@", "TXT", '"v=spf1 ip4:198.51.100.10 -all"'))
    update("shop.test", ("_dmarc", "TXT", '"v=DMARC1; p=reject"'))
    assert (
        sent("198.51.100.10", "a@inbox.test") == sent("2001:db8:e0::10", "b@v6.inbox.test") == 250
    )
    mails = {mail["To"]: mail for mail in lab.received(running)}
    good, bad = mails["a@inbox.test"], mails["b@v6.inbox.test"]
    assert "spf=pass" in good["Authentication-Results"]
    assert "dmarc=pass" in good["Authentication-Results"]
    assert "spf=fail" in bad["Authentication-Results"]
    assert "dmarc=fail" in bad["Authentication-Results"]


@pytest.mark.parametrize(("to", "code"), [("reject", 550), ("defer", 451), ("full-3", 452)])
def test_some_recipients_are_refused(running: str, to: str, code: int) -> None:
    assert sent("198.51.100.10", f"{to}@inbox.test") == code


SEND = r"""
import smtplib, ssl, sys
source, to = sys.argv[1:]
trust = ssl.create_default_context(cafile="/root/ca.pem")
with smtplib.SMTP("mx.inbox.test", 25, "mta1.eu.shop.test", 10, (source, 0)) as smtp:
    smtp.starttls(context=trust)
    smtp.ehlo()
    smtp.mail("shop@shop.test")
    code, _ = smtp.rcpt(to)
    if code == 250:
        code, _ = smtp.data(f"From: shop@shop.test\r\nTo: {to}\r\nSubject: x\r\n\r\nx\r\n")
    print(code)
"""


def sent(source: str, to: str) -> int:
    """Send a mail from a mail host over TLS that the lab's authority vouches for; the last code."""
    on(EU, "cat > /root/ca.pem", stdin=lab.files(NAME).ca_certificate.read_text())
    return int(on(EU, f"python3 - {source} {to}", stdin=SEND))
