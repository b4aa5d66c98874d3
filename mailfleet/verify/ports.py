"""The SMTP ports of a host: what to ask of them, from outside and from the host itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mailfleet.host.tls_guideline import SUITES
from mailfleet.model import Address, Fleet, Host, Stream
from mailfleet.verify import smtp_session
from mailfleet.verify.relay_forms import STRANGER, relay_attempts
from mailfleet.verify.smuggling import ENDS


@dataclass(frozen=True)
class Port:
    """One SMTP listener on one address. `stream` is None for inbound."""

    host: Host
    address: Address
    number: int
    kind: Literal["inbound", "TLS", "STARTTLS"]
    stream: Stream | None
    domain: str
    """A domain whose mail it takes: the stream's return path, or one of them at inbound."""

    def __str__(self) -> str:
        what = f"{self.stream.name} submission" if self.stream else "inbound"
        return f"{what} at {self.address} port {self.number}"

    def names(self) -> tuple[str, ...]:
        """The names under which clients know this port."""
        if self.stream is None:
            return (self.host.name,)
        helo = self.host.sending_address(self.stream.name).helo
        return (self.stream.endpoint, self.stream.regional_endpoint(self.host.region), helo)

    def tries(self) -> list[tuple[str, str]]:
        """Reverse and forward paths that must all be refused from a client without a login."""
        attempts = relay_attempts(self.names()[-1], self.address, self.domain)
        if self.stream is not None:
            # Without a login there is no mail for us either.
            own = f"<verify@{self.domain}>"
            attempts += [(own, own), (f"<{STRANGER}>", own)]
        return attempts

    def attacks(self) -> dict[str, Any]:
        """What to try besides; see `mailfleet.verify.smtp_session.look`."""
        others = "".join(f":!{suite}" for suite in SUITES)
        return {
            "suites": f"ALL:COMPLEMENTOFALL:@SECLEVEL=0{others}",
            # Without a login a submission port takes no message that could have an end.
            "ends": ENDS if self.stream is None and self.domain else {},
            "recipient": f"verify@{self.domain}",
        }


def ports_of(fleet: Fleet, host: Host) -> tuple[Port, ...]:
    """Every SMTP listener of a host."""
    taken = next((stream.return_path for stream in fleet.streams), "")
    ports = [Port(host, a, 25, "inbound", None, taken) for a in host.addresses if host.inbound]
    for sending, stream in fleet.host_streams(host):
        for address in sending.addresses:
            ports.append(Port(host, address, stream.tls_port, "TLS", stream, stream.return_path))
            ports.append(
                Port(host, address, stream.starttls_port, "STARTTLS", stream, stream.return_path)
            )
    return tuple(ports)


@dataclass(frozen=True)
class Look:
    """What was found at a port, see `mailfleet.verify.smtp_session.look`."""

    port: Port
    result: dict[str, Any]

    @property
    def error(self) -> str:
        return str(self.result["error"])


def from_here(
    ports: Sequence[Port], ca: str, *, tries: Iterable[tuple[str, str]] | None = None
) -> list[Look]:
    """Look at ports from this machine; `ca` is whom to trust, see `smtp_session.context`.

    With `tries`, reverse and forward paths, these are all that is tried.
    """
    asks = [
        _ask(port, "verify.example.org", ca=ca, attacks=tries is None, tries=tries)
        for port in ports
    ]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(smtp_session.look, asks))
    return [Look(port, result) for port, result in zip(ports, results, strict=True)]


def from_host(ports: Sequence[Port], run: Callable[[str], str]) -> list[Look]:
    """Look at a host's own ports from the host itself, each from the port's own address."""
    asks = [_ask(port, port.host.name, source=port.address) for port in ports]
    return [Look(port, result) for port, result in zip(ports, _remotely(asks, run), strict=True)]


@dataclass(frozen=True)
class Greeting:
    """How an inbound port of the fleet answered to a sending address."""

    address: Address
    helo: str
    port: Port | None
    """None: the fleet has no inbound port of the address's family."""
    result: dict[str, Any]


def greetings(fleet: Fleet, host: Host, run: Callable[[str], str]) -> list[Greeting]:
    """Connect from each sending address to an inbound port, of another host where there is one.

    As Postfix's own user: the firewall lets nobody else out to port 25.
    """
    wanted = [
        (address, sending.helo, _inbound(fleet, host, address.version))
        for sending in host.sending
        for address in sending.addresses
    ]
    asks = [_ask(p, helo, source=address, tries=()) for address, helo, p in wanted if p is not None]
    results = iter(_remotely(asks, run, "runuser -u postfix -- "))
    return [Greeting(address, helo, p, next(results) if p else {}) for address, helo, p in wanted]


def _inbound(fleet: Fleet, host: Host, version: int) -> Port | None:
    others = sorted(
        fleet.inbound_hosts, key=lambda other: (other is host, other.region == host.region)
    )
    return next(
        (p for one in others for p in ports_of(fleet, one)
         if p.kind == "inbound" and p.address.version == version), None
    )  # fmt: skip


def _ask(
    port: Port,
    helo: str,
    *,
    source: Address | None = None,
    ca: str | None = None,
    attacks: bool = False,
    tries: Iterable[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    return {
        "address": str(port.address),
        "port": port.number,
        "name": port.names()[0],
        "implicit": port.kind == "TLS",
        "source": str(source) if source else None,
        "helo": helo,
        "tries": list(port.tries() if tries is None else tries),
        "ca": ca,
        "attacks": port.attacks() if attacks else None,
    }


def _remotely(
    asks: Sequence[dict[str, Any]], run: Callable[[str], str], become: str = ""
) -> list[dict[str, Any]]:
    source = Path(smtp_session.__file__).read_text(encoding="utf-8")
    command = f"{become}python3 -c {shlex.quote(source)} {shlex.quote(json.dumps(asks))}"
    answers: list[dict[str, Any]] = json.loads(run(command).splitlines()[-1]) if asks else []
    return answers
