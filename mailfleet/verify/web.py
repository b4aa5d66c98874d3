"""The web server of a host: it answers challenges, and serves the MTA-STS policies as planned."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailfleet.model import Address
from mailfleet.verify.smtp_session import context

_TIMEOUT = 10.0
POLICY = "/.well-known/mta-sts.txt"


@dataclass(frozen=True)
class Page:
    """What was asked of a web server, and what it answered: `status` is 0 where it did not."""

    address: Address
    name: str
    path: str
    status: int = 0
    kind: str = ""
    text: str = ""
    error: str = ""


def challenge_pages(name: str, addresses: Iterable[Address], path: str) -> list[Page]:
    """Ask for a file among the challenges as an authority does, over plain HTTP at each address."""
    return [_page(address, name, path, None) for address in addresses]


def policy_pages(names: Iterable[str], addresses: Iterable[Address], ca: str) -> list[Page]:
    """Ask for each policy at each address as a sending mail server does (RFC 8461 §3.3)."""
    tls = context(ca)
    tls.check_hostname = True
    every = tuple(addresses)
    return [_page(address, name, POLICY, tls) for name in names for address in every]


EXCLUDED_GROUPS = ("secp521r1", "X448", "ffdhe2048", "ffdhe8192")
"""What OpenSSL offers by itself, and Mozilla's guideline 6.0 leaves out."""


def offered_groups(name: str, addresses: Iterable[Address]) -> list[tuple[Address, str]]:
    """Excluded groups with which port 443 makes a TLS connection under a name, with its address."""
    return [
        (address, group)
        for address in addresses
        for group in EXCLUDED_GROUPS
        if _agrees(address, name, group)
    ]


def group_problems(offered: Iterable[tuple[Address, str]]) -> list[str]:
    """Each excluded group that is offered."""
    return [
        f"{address} port 443 takes the group {group}, expected only those of Mozilla's guideline 6.0"
        for address, group in offered
    ]


def _agrees(address: Address, name: str, group: str) -> bool:
    tls = context(None)
    try:
        # The only group that this client offers.
        tls.set_ecdh_curve(group)
    except ValueError:  # this machine's OpenSSL does not know it
        return False
    try:
        with socket.create_connection((str(address), 443), _TIMEOUT) as plain:
            with tls.wrap_socket(plain, server_hostname=name):
                return True
    except OSError:
        return False


def challenge_problems(pages: Iterable[Page], expected: str) -> list[str]:
    """Addresses at which an authority would not find this host's challenges; `expected` is the text."""
    problems = []
    for page in pages:
        where = f"{page.address} port 80"
        if page.error:
            problems.append(f"{where} {page.error}")
        elif page.status != 200:
            problems.append(
                f"{where} answers HTTP status {page.status} to {page.path}, expected 200: challenges "
                "of the certificate authority are not found"
            )
        elif page.text != expected:
            problems.append(
                f"{where} is answered by another web server: {page.path} is {page.text[:60]!r}, "
                f"expected {expected!r}"
            )
    return problems


def policy_problems(pages: Iterable[Page], policies: Mapping[str, str]) -> list[str]:
    """Policies that are not served, or otherwise than planned."""
    problems = []
    for page in pages:
        where = f"https://{page.name}{page.path} at {page.address}"
        if page.error:
            problems.append(f"{where} {page.error}")
        elif page.status != 200:
            problems.append(f"{where} answers HTTP status {page.status}, expected 200")
        elif page.kind.partition(";")[0] != "text/plain":
            problems.append(f"{where} is {page.kind or 'of no type'}, expected text/plain")
        elif page.text != policies[page.name]:
            problems.append(
                f"{where} is another policy than planned: {page.text.split()}, "
                f"expected {policies[page.name].split()}"
            )
    return problems


def _page(address: Address, name: str, path: str, tls: ssl.SSLContext | None) -> Page:
    connection = _At(address, name, 443 if tls else 80, tls)
    try:
        # As if a peer asked: whether the peers answer is their own checks' matter.
        connection.request("GET", path, headers={"Host": name, "X-Mailfleet-Peer": "1"})
        answer = connection.getresponse()
        text = answer.read(65_536).decode("utf-8", "replace")
        return Page(
            address, name, path, answer.status, answer.getheader("Content-Type") or "", text
        )
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error
        return Page(address, name, path, error=f"does not answer: {reason}")
    finally:
        connection.close()


class _At(http.client.HTTPConnection):
    """HTTP, or HTTPS with `tls`, to one address under a name."""

    def __init__(self, address: Address, name: str, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(name, port, timeout=_TIMEOUT)
        self._address, self._tls = str(address), tls

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), _TIMEOUT)
        self.sock = plain
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
