"""Mail of every stream: it arrives and passes, from the stream's own address, and bounces come back."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
import uuid
from collections.abc import Mapping
from email.message import EmailMessage
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from mailfleet.project.lab_environment import Lab
from mailfleet.verify import probe
from roles import postfix

if TYPE_CHECKING:
    from mailfleet.model import SendingAddress, Stream
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

SUITES = {"eu": "bookworm", "us": "trixie"}
DEADLINE = 120.0


def test_mail_of_every_stream_passes_over_both_families(deployed_lab: DeployedLab) -> None:
    wanted = probe.probes(deployed_lab.fleet)
    assert len(wanted) == 8, "two hosts, two streams, two families"
    verdicts = verdicts_of(deployed_lab, wanted)
    assert [verdict.text for verdict in verdicts if not verdict.good] == []
    assert [verdict.probe for verdict in verdicts] == list(wanted)


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize("region", ["eu", "us"])
def test_mail_leaves_from_the_streams_own_address(
    deployed_lab: DeployedLab, region: str, port: int
) -> None:
    machine = deployed_lab.fleet.host(getattr(deployed_lab, region))
    for sending, stream in deployed_lab.fleet.host_streams(machine):
        for address in sending.addresses:
            recipient = f"own-{uuid.uuid4().hex}@v{address.version}.inbox.test"
            submit(deployed_lab, sending, stream, recipient, port=port)
            message = arrived(deployed_lab, recipient)
            # What the receiver saw: the HELO name, the name that the PTR record gives, the address.
            peer = f"IPv6:{address}" if address.version == 6 else str(address)
            newest = " ".join(str(message.get_all("Received", [])[0]).split())
            assert newest.startswith(f"from {sending.helo} ({sending.helo} [{peer}])"), newest
            assert f"d={stream.from_domain};" in str(message["DKIM-Signature"])


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param("reject", id="refused by the receiver"),
        pytest.param("bounce", id="taken by the receiver, then returned by mail"),
    ],
)
@pytest.mark.parametrize("region", ["eu", "us"])
def test_a_bounce_arrives_in_the_return_paths_maildir(
    deployed_lab: DeployedLab, region: str, behaviour: str
) -> None:
    machine = deployed_lab.fleet.host(getattr(deployed_lab, region))
    for sending, stream in deployed_lab.fleet.host_streams(machine):
        recipient = f"{behaviour}-{uuid.uuid4().hex}@inbox.test"
        submit(deployed_lab, sending, stream, recipient)
        # The MX record names every inbound host: one of them has it.
        assert "Content-Type: multipart/report" in bounced(
            deployed_lab, stream.return_path, recipient, (deployed_lab.eu, deployed_lab.us)
        )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("region", ["eu", "us"])
def test_the_receiver_reaches_the_inbound_of_each_host(
    deployed_lab: DeployedLab, region: str, version: int
) -> None:
    host = getattr(deployed_lab, region)
    machine = deployed_lab.fleet.host(host)
    address = next(str(a) for a in machine.addresses if a.version == version)
    for domain in postfix_domains(deployed_lab):
        recipient = f"report-{uuid.uuid4().hex}@{domain}"
        with inbound(deployed_lab, address) as smtp:
            smtp.sendmail(
                "",
                [recipient],
                f"From: <>\r\nTo: {recipient}\r\nX-Token: {recipient}\r\n\r\nhi\r\n",
            )
        assert f"X-Token: {recipient}" in bounced(deployed_lab, domain, recipient, (host,))


@pytest.mark.parametrize("region", ["eu", "us"])
def test_a_stream_that_stops_stops_no_other(deployed_lab: DeployedLab, region: str) -> None:
    host = getattr(deployed_lab, region)
    machine = deployed_lab.fleet.host(host)
    stopped, running = machine.sending
    unit = postfix.unit(SUITES[region], stopped.instance)
    deployed_lab.on(host, f"systemctl stop {unit}")
    try:
        with pytest.raises(ConnectionRefusedError):
            connect(deployed_lab, str(stopped.addresses[0]), 465).close()
        others = [p for p in probe.probes(deployed_lab.fleet, host) if p.stream == running.stream]
        assert len(others) == 2
        verdicts = verdicts_of(deployed_lab, tuple(others))
        assert [verdict.text for verdict in verdicts if not verdict.good] == []
    finally:
        deployed_lab.on(host, f"systemctl start {unit}")
    own = [p for p in probe.probes(deployed_lab.fleet, host) if p.stream == stopped.stream]
    assert [v.text for v in verdicts_of(deployed_lab, tuple(own)) if not v.good] == []


def postfix_domains(deployed: DeployedLab) -> tuple[str, ...]:
    """Every domain that inbound takes mail for: return paths and the From domains themselves."""
    streams = deployed.fleet.streams
    return tuple(dict.fromkeys(d for s in streams for d in (s.return_path, s.from_domain)))


def verdicts_of(deployed: DeployedLab, wanted: tuple[probe.Probe, ...]) -> list[probe.Verdict]:
    """The receiver's verdicts; only a thread of its own enters the lab's network."""
    return namespaces.inside(
        namespaces.internet(deployed.name), lambda: list(probe.run(deployed.fleet, wanted))
    )


def connect(deployed: DeployedLab, address: str, port: int, timeout: float = 20) -> socket.socket:
    """A connection within the lab; it stays there when the thread that opened it ends."""
    return namespaces.inside(
        namespaces.internet(deployed.name),
        lambda: socket.create_connection((address, port), timeout=timeout),
    )


class LabSmtp(smtplib.SMTP):
    """SMTP to an address within the lab."""

    def __init__(self, deployed: DeployedLab, address: str, port: int, name: str = "") -> None:
        self._deployed, self._address = deployed, address
        self._tls = port == 465
        self.context = ssl.create_default_context(
            cafile=str(lab.files(deployed.name).ca_certificate)
        )
        self._name = name
        super().__init__(name or address, port, local_hostname="client.test", timeout=20)

    def _get_socket(self, _host: str, port: int, _timeout: float) -> socket.socket:
        plain = connect(self._deployed, self._address, port)
        if self._tls:
            return self.context.wrap_socket(plain, server_hostname=self._name)
        return plain


def inbound(deployed: DeployedLab, address: str) -> LabSmtp:
    """SMTP to a host's port 25, as any mail server speaks it."""
    return LabSmtp(deployed, address, 25)


def submit(
    deployed: DeployedLab,
    sending: SendingAddress,
    stream: Stream,
    recipient: str,
    *,
    port: int = 465,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Submit a mail as an application does: the certificate must name the endpoint."""
    version = 6 if "@v6." in recipient else 4
    address = next(str(a) for a in sending.addresses if a.version == version)
    login = stream.logins[0]
    password = Lab(deployed.name).secret(f"password-{login}", "tests").reveal()
    message = EmailMessage()
    message["From"] = f"Shop <shop@{stream.from_domain}>"
    message["To"] = recipient
    message["Subject"] = "A test"
    for name, value in headers.items():
        message[name] = value
    message.set_content("Hello.\n")
    with LabSmtp(deployed, address, port, stream.endpoint) as smtp:
        if port == 587:
            smtp.starttls(context=smtp.context)
        smtp.login(login, password)
        smtp.send_message(message, f"bounces@{stream.return_path}", [recipient])


def arrived(deployed: DeployedLab, recipient: str, header: str = "To") -> EmailMessage:
    """The mail to `recipient`, once the receiver has it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for message in lab.received(deployed.name, recipient):
            if recipient in str(message[header]):
                return message
        time.sleep(0.1)
    pytest.fail(f"no mail to {recipient} arrived")


def bounced(deployed: DeployedLab, domain: str, text: str, hosts: tuple[str, ...]) -> str:
    """The mail in a domain's inbound maildir that contains `text`, on whichever host has it."""
    folder = f"/var/mail/mailfleet/{domain}/new"
    assert re.fullmatch(r"[a-z0-9@.-]+", text), "it becomes part of a shell command"
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for host in hosts:
            command = f"grep -lsrF {text} {folder} | head -n 1 | xargs -r cat"
            if found := deployed.on(host, command):
                return found
        time.sleep(0.1)
    pytest.fail(f"{folder} has no mail with {text} on {', '.join(hosts)}")
