"""Probes: mail that is submitted like an application does, and judged like a provider does."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from mailfleet.host.paths import POSTFIX_LOGS
from mailfleet.model import Address, Fleet, SendingAddress, Stream
from mailfleet.project.environment import Inbox, environment_of
from mailfleet.secrets import Secret

# Long enough for a busy machine's first delivery, short enough to wait for.
_DEADLINE = 30.0
_METHODS = ("spf", "dkim", "dmarc")


@dataclass(frozen=True)
class Probe:
    """One mail to send: from a host's stream, over one IP version on the whole way."""

    host: str
    stream: str
    version: int
    address: Address


@dataclass(frozen=True)
class Verdict:
    """What became of a probe: the receiver's Authentication-Results, or why there are none."""

    probe: Probe
    results: str = ""
    problem: str = ""

    @property
    def passed(self) -> dict[str, str]:
        """The result of each method, e.g. `{"spf": "pass"}` (RFC 8601 §2.2)."""
        plain = re.sub(r"\([^()]*\)", " ", self.results)
        results: dict[str, str] = {}
        for method, result in re.findall(r"(?:^|[;\s])(spf|dkim|dmarc)=(\w+)", plain):
            # Of several signatures one that passes is enough (RFC 6376 §4.2).
            if results.get(method) != "pass":
                results[method] = result
        return results

    @property
    def good(self) -> bool:
        """Whether it arrived and every method passed."""
        return not self.problem and all(self.passed.get(m) == "pass" for m in _METHODS)

    @property
    def text(self) -> str:
        return self.problem or self.results

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {
            "host": self.probe.host,
            "stream": self.probe.stream,
            "ip_version": self.probe.version,
            "ok": self.good,
            **{method: self.passed.get(method) for method in _METHODS},
            "authentication_results": self.results or None,
            "problem": self.problem or None,
        }


def probes(fleet: Fleet, limit: str | None = None) -> tuple[Probe, ...]:
    """A probe for each host, stream and IP version; `limit` is a region or a host name."""
    return tuple(
        Probe(host.name, sending.stream, address.version, address)
        for host in fleet.hosts
        if limit in (None, host.region, host.name)
        for sending in host.sending
        for address in sending.addresses
    )


def run(fleet: Fleet, wanted: tuple[Probe, ...]) -> Iterator[Verdict]:
    """Submit every probe, then wait for each at the environment's inbox; in the order of `wanted`.

    ValueError where the environment has none.
    """
    environment = environment_of(fleet)
    inbox = environment.inbox()
    if inbox is None:
        raise ValueError("a probe needs an inbox")
    environment.enter()
    context = ssl.create_default_context(cafile=str(inbox.ca_certificate))
    sent: list[tuple[Probe, str, str]] = []
    for probe in wanted:
        token = uuid.uuid4().hex
        sent.append((probe, token, _submit(fleet, inbox, probe, token, context)))
    for probe, token, problem in sent:
        if problem:
            yield Verdict(probe, problem=problem)
            continue
        message = _await(inbox, token)
        if message is None:
            problem = f"submitted, but not received within {_DEADLINE:.0f} s; see {POSTFIX_LOGS}"
            yield Verdict(probe, problem=problem)
            continue
        headers = message.get_all("Authentication-Results") or []
        yield Verdict(probe, results=" ".join(" ".join(str(line).split()) for line in headers))


def _submit(fleet: Fleet, inbox: Inbox, probe: Probe, token: str, context: ssl.SSLContext) -> str:
    """Submit one probe; the reason in plain words where the host refuses it."""
    stream = fleet.stream(probe.stream)
    sending = fleet.host(probe.host).sending_address(probe.stream)
    login = stream.logins[0]
    password = environment_of(fleet).secret(f"password-{login}", f"password of {login} for probes")
    try:
        _send(stream, sending, inbox, probe, login, password, token, context)
    except smtplib.SMTPResponseException as error:
        reply = error.smtp_error
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        return f"{probe.address} port {stream.tls_port} answered {error.smtp_code} {text}"
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        return f"{probe.address} refused the recipient: {code} {reply.decode('utf-8', 'replace')}"
    except (OSError, smtplib.SMTPException) as error:
        return f"{probe.address} port {stream.tls_port}: {error}"
    return ""


def _send(
    stream: Stream,
    sending: SendingAddress,
    inbox: Inbox,
    probe: Probe,
    login: str,
    password: Secret,
    token: str,
    context: ssl.SSLContext,
) -> None:
    message = EmailMessage()
    message["From"] = f"Probe <probe@{stream.from_domain}>"
    message["To"] = recipient = f"probe-{token}@v{probe.version}.{inbox.domain}"
    message["Subject"] = f"Probe of {probe.stream} from {probe.host}"
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{token}@{sending.helo}>"
    message.set_content(
        f"A probe of stream {probe.stream} on {probe.host} over IPv{probe.version}.\n"
    )
    with Submission(stream.endpoint, probe.address, stream.tls_port, context) as smtp:
        smtp.login(login, password.reveal())
        smtp.send_message(message, f"probe@{stream.return_path}", [recipient])


class Submission(smtplib.SMTP_SSL):
    """SMTP over TLS to one address of an endpoint, whose certificate must name the endpoint."""

    def __init__(self, name: str, address: Address, port: int, context: ssl.SSLContext) -> None:
        self._address = str(address)
        super().__init__(name, port, context=context, timeout=20)

    def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
        plain = socket.create_connection((self._address, port), timeout)
        return self.context.wrap_socket(plain, server_hostname=host)


def _await(inbox: Inbox, token: str) -> EmailMessage | None:
    deadline = time.monotonic() + _DEADLINE
    pause = 0.05
    while time.monotonic() < deadline:
        for message in inbox.received(token):
            if token in str(message.get("To")):
                return message
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return None
