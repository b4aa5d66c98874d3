"""Certificates from the lab's own authority: ordered, validated through peers, and served."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailfleet import lab
from mailfleet.dns.records import mta_sts
from mailfleet.facts.tls import chains_of, spki_sha256
from mailfleet.host import certificates

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

from tests.lab.issued import (
    CHAIN,
    SHARED,
    WEBROOT,
    agent,
    leaf,
    names_of,
    orders,
    page,
    served,
)

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("region", ["eu", "us"])
def test_every_port_serves_a_trusted_certificate_of_all_names(
    deployed_lab: DeployedLab, region: str
) -> None:
    host = deployed_lab.fleet.host(getattr(deployed_lab, region))
    installed = leaf(deployed_lab, host.name)
    assert "Pebble Intermediate" in installed.issuer.rfc4514_string()
    key = installed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    wanted = {host.name, *(s.helo for s in host.sending), *deployed_lab.fleet.endpoints(host)}
    policies = certificates.served_policies(deployed_lab.fleet, host)
    assert "mta-sts.shop.test" in policies
    assert names_of(installed) == wanted | set(policies)
    for address in map(str, host.addresses):
        assert served(deployed_lab, address, 25, host.name) == installed
        for name in policies:
            assert served(deployed_lab, address, 443, name) == installed
    for sending, stream in deployed_lab.fleet.host_streams(host):
        for address in map(str, sending.addresses):
            for name in (stream.endpoint, stream.regional_endpoint(host.region), sending.helo):
                assert served(deployed_lab, address, stream.tls_port, name) == installed


def test_the_policy_is_served_over_https(deployed_lab: DeployedLab) -> None:
    domain = deployed_lab.fleet.domain("shop.test")
    assert domain.mta_sts is not None
    text = mta_sts.policy_text(domain.mta_sts, (deployed_lab.eu, deployed_lab.us))
    assert text.startswith("version: STSv1\r\nmode: enforce\r\nmx: mta1.eu.shop.test\r\n")
    ca = "--cacert /root/ca.pem"
    for asking in (deployed_lab.eu, deployed_lab.us):
        bundle = lab.files(deployed_lab.name).ca_certificate.read_text()
        deployed_lab.on(asking, "cat > /root/ca.pem", stdin=bundle)
        for name in ("mta-sts.shop.test", "mta-sts.bounce.news.shop.test"):
            url = f"https://{name}/.well-known/mta-sts.txt"
            for family in ("-4", "-6"):
                found = deployed_lab.on(asking, f"curl -sS -i {family} {ca} {url} | tr -d '\\r'")
                head, _, body = found.partition("\n\n")
                assert head.startswith("HTTP/1.1 200 OK\n")
                assert "content-type: text/plain" in head.lower()
                assert re.search(r"^server: nginx$", head, re.MULTILINE | re.IGNORECASE)
                assert body == text.replace("\r", "")
        # Nothing else is there: no other page, no other name.
        status = "-o /dev/null -w '%{http_code}'"
        assert (
            deployed_lab.on(asking, f"curl -sS {ca} {status} https://mta-sts.shop.test/") == "404"
        )
        refused = f"curl -sS -k https://{deployed_lab.eu}/ 2>&1 || true"
        assert "unrecognized name" in deployed_lab.on(asking, refused)


def test_a_host_answers_with_its_peers_challenges(deployed_lab: DeployedLab) -> None:
    """Decision D6: the authority may ask any host that shares the name."""
    token = uuid.uuid4().hex
    path = f"/.well-known/acme-challenge/{token}"
    eu, us = (deployed_lab.fleet.host(h) for h in (deployed_lab.eu, deployed_lab.us))
    deployed_lab.on(us.name, f"echo {token} > {WEBROOT}/{token}")
    try:
        for host in (eu, us):
            for address in map(str, host.all_addresses):
                assert page(deployed_lab, address, SHARED, path) == (200, f"{token}\n")
        # What a peer has passed on goes no further.
        asked = page(deployed_lab, str(eu.ipv4), SHARED, path, **{"X-Mailfleet-Peer": "1"})
        assert asked[0] == 404
        # A peer that is down costs the others nothing; nobody's challenge is nobody's.
        deployed_lab.on(us.name, "systemctl stop nginx")
        assert page(deployed_lab, str(eu.ipv4), SHARED, path)[0] in (404, 502)
    finally:
        deployed_lab.on(us.name, f"rm {WEBROOT}/{token}; systemctl start nginx")
    assert page(deployed_lab, str(eu.ipv4), SHARED, path)[0] == 404
    for other in ("/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../../x"):
        assert page(deployed_lab, str(eu.ipv4), SHARED, other)[0] in (400, 404)


def test_a_good_certificate_is_not_ordered_again(deployed_lab: DeployedLab) -> None:
    before = orders(deployed_lab)
    assert before >= 2, "each host has ordered one"
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0
    for host in (deployed_lab.eu, deployed_lab.us):
        deployed_lab.on(host, "systemctl start mailfleet-certificate.service")
        assert agent(deployed_lab, host, "run") == (0, "the certificate is good\n")
    # A chain that went missing comes from what certbot holds.
    serial = leaf(deployed_lab, deployed_lab.eu).serial_number
    deployed_lab.on(deployed_lab.eu, f"rm {CHAIN}")
    assert deployed_lab.pyinfra("deploys/mta.py").changes > 0
    assert leaf(deployed_lab, deployed_lab.eu).serial_number == serial
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0
    assert orders(deployed_lab) == before


GROWN = """
[tls]
rsa = true

[streams.invoices]
logins = ["invoices"]
tls_port = 2465
starttls_port = 2587
"""


@pytest.fixture
def grown(deployed_lab: DeployedLab, tmp_path: Path) -> Iterator[str]:
    """An inventory with one more stream, whose domain asks for RSA; in the end all is as before."""
    inventory = deployed_lab.variant(tmp_path, lambda text: text + GROWN)
    text = inventory.read_text()
    inventory.write_text(text.replace('"streams": {', '"streams": {"invoices": "transactional",'))
    yield str(inventory)
    deployed_lab.repair()
    # The RSA key is gone only now, and its TLSA record with this push.
    deployed_lab.pyinfra("dns/push.py")


def test_a_new_name_and_rsa_beside_ecdsa(deployed_lab: DeployedLab, grown: str) -> None:
    def pyinfra(deploy: str) -> str:
        return deployed_lab.pyinfra(deploy, inventory=grown).output

    hosts = (deployed_lab.eu, deployed_lab.us)
    before = {host: leaf(deployed_lab, host) for host in hosts}
    said = pyinfra("deploys/mta.py")
    assert "no certificate was ordered yet: smtp-invoices.shop.test has no address" in said
    for host in hosts:
        assert leaf(deployed_lab, host) == before[host], "the old one serves on"
    pyinfra("dns/push.py")
    pyinfra("deploys/mta.py")
    for host in hosts:
        machine = deployed_lab.fleet.host(host)
        text = deployed_lab.on(
            host, f"sed '/PRIVATE/s/.*BEGIN.*/chain|/' {CHAIN} | grep -v '^M[A-Z]*$'"
        )
        chains = [x509.load_pem_x509_certificate(c.encode()) for c in chains_of(text.splitlines())]
        assert [type(c.public_key()) for c in chains] == [
            type(before[host].public_key()), type(chains[1].public_key()),
        ]  # fmt: skip
        assert isinstance(chains[1].public_key(), rsa.RSAPublicKey)
        for one in chains:
            assert {
                "smtp-invoices.shop.test",
                f"smtp-invoices-{machine.region}.shop.test",
            } < names_of(one)
        assert chains[0].public_key() == before[host].public_key()
        for kind, flags in (
            ("ECDSA", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            ("RSA", "ECDHE-RSA-AES128-GCM-SHA256"),
        ):
            ask = (
                f"openssl s_client -connect {machine.sending[0].ipv4}:465 -tls1_2 -cipher {flags}"
                " </dev/null 2>/dev/null | grep -E 'Peer signature type|Cipher is'"
            )
            assert kind in deployed_lab.on(deployed_lab.eu, ask)
    pyinfra("dns/push.py")
    for host in hosts:
        found = deployed_lab.on("ns", f"dig +short @192.0.2.54 TLSA _25._tcp.{host}")
        pem = deployed_lab.on(host, f"openssl x509 -in {CHAIN}")
        assert found.count("3 1 1") == 2
        assert (spki_sha256(pem) or "-") in found.lower().replace(" ", "")
    assert "No Change" in (again := pyinfra("deploys/mta.py"))
    assert re.search(r"Grand total +\d+ +- ", again), again
