"""The host's certificate: one chain file that Postfix reads, for every name the host answers to."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from mailfleet.facts.tls import CHAIN as CHAIN
from mailfleet.hoststate import Directory, HostState
from mailfleet.operations import tls
from mailfleet.target import Target

KEY = "/etc/mailfleet/tls/host.key"


def names(target: Target) -> tuple[str, ...]:
    """Host name first, then HELO names and endpoints."""
    return tuple(dict.fromkeys((*target.host.names, *target.fleet.endpoints(target.host))))


def desired(_target: Target) -> HostState:
    """The folder that holds the key and the chain; both are made by `apply`."""
    return HostState(
        packages=("openssl",),
        directories=(Directory("/etc/mailfleet"), Directory("/etc/mailfleet/tls", mode=0o700)),
    )


@deploy("TLS")
def apply(target: Target, units: tuple[str, ...]) -> None:
    """Make sure that the certificate is good; `units` read it and are told of a new one."""
    tls.certificate(
        name="Certificate",
        chain=CHAIN,
        key=KEY,
        names=names(target),
        affects=units,
        authority=target.authority,
    )
