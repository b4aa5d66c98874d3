"""Waiting until hosts answer. All functions run within the lab's internet."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Callable, Iterable

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from mailfleet.lab import addresses
from mailfleet.lab.addresses import Address
from mailfleet.lab.errors import LabError
from mailfleet.lab.zones import ROOT

_PAUSE = 0.02
"""Between two tries: an unanswered port gives nothing to wait on."""


def await_true(
    what: str, condition: Callable[[], bool], *, alive: Callable[[], bool], seconds: float
) -> None:
    """Return once `condition` holds; `LabError` if `alive` stops holding or time runs out."""
    deadline = time.monotonic() + seconds
    while not condition():
        if not alive():
            raise LabError(f"{what} ended while it was starting")
        if time.monotonic() > deadline:
            raise LabError(f"{what} does not answer after {seconds:.0f} s")
        time.sleep(_PAUSE)


def greets(address: Address, port: int, greeting: bytes, seconds: float = 2) -> bool:
    """Whether a server answers on `port` and its first words are `greeting`."""
    try:
        with socket.create_connection((str(address), port), timeout=seconds) as connection:
            return connection.recv(256).startswith(greeting)
    except OSError:
        return False


def ssh_answers(address: Address) -> bool:
    return greets(address, 22, b"SSH-2.0-")


def mail_answers(receivers: Iterable[Address]) -> bool:
    """Whether mail can be sent to all `receivers`; the judge is asked, and has to answer."""
    try:
        for address in receivers:
            with smtplib.SMTP(str(address), 25, timeout=10) as connection:
                connection.ehlo("lab.core.test")
                if connection.mail("")[0] != 250:
                    return False
    except (OSError, smtplib.SMTPException):
        return False
    return True


def accepts(address: Address, port: int) -> bool:
    """Whether a connection to `port` can be made."""
    try:
        socket.create_connection((str(address), port), timeout=2).close()
    except OSError:
        return False
    return True


def zones_validate(zones: Iterable[str]) -> bool:
    """Whether the lab's resolver finds every one of `zones` and vouches for it."""
    return all(
        _validates(zone if zone == ROOT else f"{zone}.", resolver)
        for resolver in addresses.RESOLVER[:1]
        for zone in zones
    )


def _validates(zone: str, resolver: Address) -> bool:
    query = dns.message.make_query(zone, dns.rdatatype.SOA, want_dnssec=True)
    try:
        # TCP: while nothing listens it says so at once, where UDP would stay silent.
        answer = dns.query.tcp(query, str(resolver), timeout=2)
    except (OSError, EOFError, dns.exception.DNSException):
        return False
    return answer.rcode() == dns.rcode.NOERROR and bool(answer.flags & dns.flags.AD)
