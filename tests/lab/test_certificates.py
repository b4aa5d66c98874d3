"""Certificates from the lab's own authority: ordered, shared, renewed under traffic, and kept."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailfleet import certificates, lab
from mailfleet.facts.tls import chains_of, spki_sha256
from mailfleet.lab import acme
from mailfleet.records import mta_sts
from tests.lab.test_mail import LabSmtp, arrived, connect, submit
from tests.lab.test_verify import change_dns, verified

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SHARED = "smtp-transactional.shop.test"
CHAIN = "/etc/mailfleet/tls/chain.pem"
AGENT = "cd /usr/local/lib/mailfleet && python3 -B -m agent.certificate"
WEBROOT = "/var/lib/mailfleet/acme/.well-known/acme-challenge"


def leaf(deployed: DeployedLab, host: str) -> x509.Certificate:
    """The certificate that is installed."""
    text = deployed.on(host, f"openssl x509 -in {CHAIN}")
    return x509.load_pem_x509_certificate(text.encode())


def served(deployed: DeployedLab, address: str, port: int, name: str) -> x509.Certificate:
    """The certificate that a client gets which trusts the lab's authorities and wants `name`."""
    if port == 25:
        with LabSmtp(deployed, address, port, name) as smtp:
            smtp.starttls(context=smtp.context)
            assert isinstance(smtp.sock, ssl.SSLSocket)
            der = smtp.sock.getpeercert(binary_form=True)
    else:
        trust = ssl.create_default_context(cafile=str(lab.files(deployed.name).ca_certificate))
        with connect(deployed, address, port) as plain:
            with trust.wrap_socket(plain, server_hostname=name) as tls:
                der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der)


def names_of(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value.get_values_for_type(x509.DNSName))


def orders(deployed: DeployedLab) -> int:
    """How many orders the authority has been asked for since it was started."""
    return int(
        deployed.on("ns", f"journalctl -u {acme.UNIT} --no-pager | grep -c order-plz || true")
    )


def state(deployed: DeployedLab, host: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        deployed.on(host, "cat /var/lib/mailfleet/certificate/state.json")
    )
    return found


def metric(deployed: DeployedLab, host: str, name: str) -> int:
    text = deployed.on(host, "cat /var/lib/mailfleet/metrics/certificate.prom")
    found = re.search(rf"^mailfleet_certificate_{name}(?:\{{[^}}]*\}})? (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def agent(deployed: DeployedLab, host: str, verb: str) -> tuple[int, str]:
    """Exit code of the agent on a host, and what it said."""
    done = deployed.on(host, f'{{ {AGENT} {verb}; }} 2>&1; echo "code=$?"')
    said, _, code = done.rpartition("code=")
    return int(code), said


def page(
    deployed: DeployedLab, address: str, name: str, path: str, **headers: str
) -> tuple[int, str]:
    """Status and text of an HTTP page at one address."""
    connection = http.client.HTTPConnection(name, timeout=20)
    connection.sock = connect(deployed, address, 80)
    connection.request("GET", path, headers={"Host": name, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


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


class Traffic:
    """Mail all the time: one long session to each stream, and a new connection for each mail."""

    def __init__(self, deployed: DeployedLab) -> None:
        self.deployed = deployed
        self.sent: list[str] = []
        self.faults: list[str] = []
        self.inbound = 0
        self._stop = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._watched, args=job) for job in self._jobs()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _jobs(self) -> Iterator[tuple[object, ...]]:
        for host in self.deployed.fleet.hosts:
            yield self._greet, str(host.ipv4)
            for sending, stream in self.deployed.fleet.host_streams(host):
                port = 465 if stream.name == "transactional" else 587
                yield self._submit, sending, stream, port

    def _watched(self, job: object, *arguments: object) -> None:
        # One connection a second keeps below the streams' limits for one client.
        while not self._stop.wait(1):
            try:
                job(*arguments)  # type: ignore[operator]
            except Exception as error:  # noqa: BLE001 - each one is what the test is about
                self.faults.append(f"{arguments}: {error!r}")

    def _submit(self, sending: object, stream: object, port: int) -> None:
        recipient = f"renewal-{uuid.uuid4().hex}@v4.inbox.test"
        submit(self.deployed, sending, stream, recipient, port=port)  # type: ignore[arg-type]
        self.sent.append(recipient)

    def _greet(self, address: str) -> None:
        with LabSmtp(self.deployed, address, 25, address) as smtp:
            assert smtp.ehlo()[0] == 250
            self.inbound += 1


def test_two_renewals_disturb_nothing(deployed_lab: DeployedLab) -> None:
    hosts = (deployed_lab.eu, deployed_lab.us)
    before = {host: leaf(deployed_lab, host) for host in hosts}
    traffic = Traffic(deployed_lab)
    serials = {host: [before[host].serial_number] for host in hosts}
    with connect(deployed_lab, "198.51.100.10", 25) as open_session:
        assert open_session.recv(200).startswith(b"220 ")
        with traffic.flowing():
            for _ in range(2):
                for host in hosts:
                    code, said = agent(deployed_lab, host, "renew")
                    assert code == 0, said
                    now = leaf(deployed_lab, host)
                    serials[host].append(now.serial_number)
                    address = str(deployed_lab.fleet.host(host).ipv4)
                    assert served(deployed_lab, address, 25, host) == now
                    assert served(deployed_lab, address, 443, "mta-sts.shop.test") == now
                    # TLSA 3 1 1 is about the key, which stays.
                    assert now.public_key() == before[host].public_key()
                count = len(traffic.sent)
                until_more(traffic, count + 4)
        # A session from before the first reload goes on.
        open_session.sendall(b"QUIT\r\n")
        assert open_session.recv(200).startswith(b"221 ")
    assert traffic.faults == []
    assert traffic.inbound > 4
    assert all(len(set(found)) == 3 for found in serials.values()), serials
    for recipient in traffic.sent:
        arrived(deployed_lab, recipient)
    for host in hosts:
        published = deployed_lab.on("ns", f"dig +short @192.0.2.54 TLSA _25._tcp.{host}")
        pem = deployed_lab.on(host, f"openssl x509 -in {CHAIN}")
        assert published.lower().replace(" ", "").strip() == f"311{spki_sha256(pem)}"
    assert verified(deployed_lab) == {deployed_lab.eu: {}, deployed_lab.us: {}}


def until_more(traffic: Traffic, count: int) -> None:
    """Return once that many mails have been sent, so that traffic and renewal did overlap."""
    for _ in range(60):
        if len(traffic.sent) >= count or traffic.faults:
            return
        threading.Event().wait(0.5)
    pytest.fail(f"only {len(traffic.sent)} mails were sent")


def test_a_failed_renewal_keeps_the_certificate_and_is_told(deployed_lab: DeployedLab) -> None:
    host = deployed_lab.us
    before = leaf(deployed_lab, host)
    deployed_lab.on("ns", f"systemctl stop {acme.UNIT}")
    try:
        code, said = agent(deployed_lab, host, "renew")
        assert code == 1
        assert "https://acme.core.test/dir gave no certificate" in said
        assert leaf(deployed_lab, host) == before
        address = str(deployed_lab.fleet.host(host).ipv4)
        assert served(deployed_lab, address, 25, host) == before
        assert metric(deployed_lab, host, "last_attempt_failed") == 1
        assert metric(deployed_lab, host, "expiry_timestamp_seconds") == int(
            before.not_valid_after_utc.timestamp()
        )
        found = verified(deployed_lab)
        assert found[deployed_lab.eu] == {}
        assert list(found[host]) == ["tls.orders"]
        words = "the last attempt to get a certificate failed: https://acme.core.test/dir gave no"
        assert words in found[host]["tls.orders"]
        # Three failures within an hour are enough: the next order waits.
        for _ in range(2):
            agent(deployed_lab, host, "renew")
        code, said = agent(deployed_lab, host, "renew")
        assert code == 1
        assert "too many orders failed" in said
    finally:
        deployed_lab.on("ns", f"systemctl start {acme.UNIT}")
        deployed_lab.on(host, "rm /var/lib/mailfleet/certificate/state.json")
        lab.up(deployed_lab.name, spec(deployed_lab), print)
    # The authority came back without its memory: certbot registers anew.
    for one in (deployed_lab.eu, host):
        code, said = agent(deployed_lab, one, "renew")
        assert code == 0, said
        assert leaf(deployed_lab, one).public_key() == before.public_key() or one != host
    assert metric(deployed_lab, host, "last_attempt_failed") == 0
    assert verified(deployed_lab) == {deployed_lab.eu: {}, deployed_lab.us: {}}


def spec(deployed: DeployedLab) -> lab.LabSpec:
    from mailfleet.cli.lab import spec_of

    return spec_of(deployed.fleet)


def test_a_name_that_leads_elsewhere_costs_no_order(deployed_lab: DeployedLab) -> None:
    name, host = "mta-sts.news.shop.test", deployed_lab.eu
    before, count = leaf(deployed_lab, host), orders(deployed_lab)
    try:
        change_dns(deployed_lab, name, "A", "192.0.2.25")
        code, said = agent(deployed_lab, host, "renew")
        assert code == 75
        assert f"{name} leads to 192.0.2.25, which is no host of this fleet" in said
        change_dns(deployed_lab, name, "AAAA", "")
        change_dns(deployed_lab, name, "A", "")
        code, said = agent(deployed_lab, host, "renew")
        assert code == 75
        assert f"{name} has no address at the name server" in said
        found = verified(deployed_lab)[host]
        assert f"no certificate could be ordered: {name} has no address" in found["tls.orders"]
        # A peer that would not pass the challenge on is found out before the authority is.
        deployed_lab.pyinfra("dns/push.py")
        deployed_lab.on(deployed_lab.us, "systemctl stop nginx")
        code, said = agent(deployed_lab, host, "renew")
        assert code == 75
        assert f"{SHARED} at 203.0.113.11 port 80 does not answer" in said
    finally:
        deployed_lab.on(deployed_lab.us, "systemctl start nginx")
        deployed_lab.repair()
    assert orders(deployed_lab) == count
    assert leaf(deployed_lab, host) == before
    assert agent(deployed_lab, host, "run")[0] == 0


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("openssl ecparam -genkey -name prime256v1 -noout -out privkey.pem", "another certificate"),
        ("head -c -60 fullchain.pem > x; cat x > fullchain.pem; rm x", "is not put into service"),
        ("openssl x509 -in fullchain.pem -out x; cat x > fullchain.pem; rm x", "is not put into"),
    ],
    ids=["another key", "cut off", "no intermediate"],
)
def test_a_bad_chain_is_not_put_into_service(
    deployed_lab: DeployedLab, damage: str, reason: str
) -> None:
    host = deployed_lab.eu
    folder = f"/etc/letsencrypt/live/{host}"
    before = deployed_lab.on(host, f"sha256sum {CHAIN}")
    started = deployed_lab.on(host, "systemctl show -p ExecMainStartTimestamp nginx")
    deployed_lab.on(host, "cp -a /etc/letsencrypt /root/letsencrypt")
    try:
        deployed_lab.on(host, f"cd {folder} && {damage}")
        code, said = agent(deployed_lab, host, "install")
        assert code == 1
        assert reason in said
        assert deployed_lab.on(host, f"sha256sum {CHAIN}") == before
        assert deployed_lab.on(host, "systemctl show -p ExecMainStartTimestamp nginx") == started
    finally:
        deployed_lab.on(
            host,
            "rm -rf /etc/letsencrypt && cp -a /root/letsencrypt /etc && rm -r /root/letsencrypt",
        )
    assert agent(deployed_lab, host, "run") == (0, "the certificate is good\n")


def test_a_lost_lineage_is_ordered_anew_with_the_same_key(deployed_lab: DeployedLab) -> None:
    """As after the very first deploy: TLSA records of the host's own key stay true. By the timer's unit."""
    for host in (deployed_lab.eu, deployed_lab.us):
        before = leaf(deployed_lab, host)
        deployed_lab.on(host, "rm -rf /etc/letsencrypt/live /etc/letsencrypt/archive"
                              " /etc/letsencrypt/renewal")  # fmt: skip
        deployed_lab.on(host, "systemctl start mailfleet-certificate.service")
        now = leaf(deployed_lab, host)
        assert now.serial_number != before.serial_number
        assert now.public_key() == before.public_key()
        assert state(deployed_lab, host)["result"] == "good"
        kept = deployed_lab.on(host, f"cat /etc/letsencrypt/renewal/{host}.conf")
        assert "reuse_key = True" in kept
        # Debian's own timer would renew without looking first.
        assert deployed_lab.on(host, "systemctl is-active certbot.timer || true") == "inactive\n"
        timer = deployed_lab.on(
            host, "systemctl list-timers mailfleet-certificate.timer --no-legend"
        )
        assert "mailfleet-certificate.service" in timer


@pytest.fixture
def grown(deployed_lab: DeployedLab, tmp_path: Path) -> Iterator[str]:
    """An inventory with one more stream, whose domain asks for RSA; in the end all is as before."""
    for name in ("inventories", "dns"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / "dns/shop.test.toml"
    with path.open("a") as file:
        file.write('\n[tls]\nrsa = true\n\n[streams.invoices]\nlogins = ["invoices"]\n'
                   "tls_port = 2465\nstarttls_port = 2587\n")  # fmt: skip
    inventory = tmp_path / "inventories/lab"
    text = inventory.read_text()
    inventory.write_text(text.replace('"streams": {', '"streams": {"invoices": "transactional",'))
    yield str(inventory)
    deployed_lab.repair()


def test_a_new_name_and_rsa_beside_ecdsa(deployed_lab: DeployedLab, grown: str) -> None:
    def pyinfra(deploy: str) -> str:
        argv = [sys.executable, "-m", "pyinfra", "-y", grown, deploy]
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=deployed_lab.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

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
                f"openssl s_client -connect {machine.ipv4}:25 -starttls smtp -tls1_2 -cipher {flags}"
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
