"""Renewals under traffic; and what goes wrong, which costs nothing and is told."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.facts.tls import spki_sha256
from mailfleet.lab import acme, addresses
from tests.lab.test_mail import LabSmtp, arrived, connect, submit
from tests.lab.test_verify import change_dns, verified

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

from tests.lab.issued import CHAIN, SHARED, agent, leaf, metric, orders, served, spec, state

pytestmark = pytest.mark.lab


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


def test_a_service_that_passes_connections_on_ends_no_renewal(deployed_lab: DeployedLab) -> None:
    """As docs/security.md has it: a name leads to a service against floods, and it to the fleet."""
    name, host = "mta-sts.news.shop.test", deployed_lab.us
    service, peer = addresses.RESOLVER[0], deployed_lab.fleet.host(deployed_lab.eu).ipv4
    before = leaf(deployed_lab, host)
    deployed_lab.on(
        "ns",
        f"systemd-run --unit=lab-passing-on --socket-property=ListenStream={service}:80"
        f" /lib/systemd/systemd-socket-proxyd {peer}:80",
    )
    try:
        change_dns(deployed_lab, name, "AAAA", "")
        change_dns(deployed_lab, name, "A", str(service))
        code, said = agent(deployed_lab, host, "renew")
        assert code == 0, said
        assert leaf(deployed_lab, host).serial_number != before.serial_number
        deployed_lab.on("ns", "systemctl stop lab-passing-on.socket lab-passing-on.service")
        code, said = agent(deployed_lab, host, "renew")
        assert code == 75
        assert f"{name} leads to {service}, which is no host of this fleet and does not" in said
    finally:
        deployed_lab.on("ns", "systemctl stop lab-passing-on.socket lab-passing-on.service || true")
        # A push leaves what a person has put there.
        change_dns(deployed_lab, name, "A", "")
        deployed_lab.repair()
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
