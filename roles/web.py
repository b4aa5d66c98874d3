"""nginx: answers the certificate authority's challenges, and serves MTA-STS policies."""

from __future__ import annotations

from mailfleet.facts.tls import WEB_CHAIN
from mailfleet.host import certificates
from mailfleet.host.paths import STATE
from mailfleet.host.sandbox import drop_in
from mailfleet.host.state import Action, Check, ConfigFile, Directory, HostState, Listener, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render
from mailfleet.host.tls_guideline import server_tls

UNIT = "nginx.service"
WEBROOT = f"{STATE}/acme"
_CHALLENGES = f"{WEBROOT}/.well-known/acme-challenge"
PROBE = f"{_CHALLENGES}/mailfleet-verify"
"""A file that is always there, named like a challenge: `mailfleet verify` asks for it."""
_POLICIES = f"{STATE}/mta-sts"
_STOP = "stop-nginx"


def desired(target: Target) -> HostState:
    """Port 80 for challenges, a peer's too (decision D6); port 443 only where policies are served."""
    fleet, host = target.fleet, target.host
    policies = certificates.served_policies(fleet, host)
    versions = {address.version for address in host.addresses}
    peers = [
        f"[{address}]" if address.version == 6 else str(address)
        for peer in certificates.peers(fleet, host)
        for address in peer.addresses
        if address.version in versions
    ]
    text = render(
        "etc/nginx/nginx.conf",
        peers=peers,
        versions=versions,
        policies=policies,
        folder=_POLICIES,
        webroot=WEBROOT,
        chain=WEB_CHAIN,
        tls=server_tls(target.release),
    )
    listeners = [Listener("certificate challenges", "tcp", 80, unit=UNIT)]
    if policies:
        listeners.append(Listener("MTA-STS policies", "tcp", 443, unit=UNIT))
    return HostState(
        packages=("nginx",),
        # All the way down: a strict umask of root's must not hide challenges from the web server.
        directories=(
            Directory(STATE),
            Directory(WEBROOT),
            Directory(f"{WEBROOT}/.well-known"),
            Directory(_CHALLENGES),
            Directory(_POLICIES),
        ),
        files=(
            ConfigFile("/etc/nginx/nginx.conf", text, affects=(UNIT,)),
            drop_in(UNIT, stop=_STOP),
            # With the name in it no other web server's answer is mistaken for this host's.
            ConfigFile(PROBE, f"{host.name} answers challenges\n"),
            *(ConfigFile(f"{_POLICIES}/{name}.txt", policies[name]) for name in policies),
        ),
        checks=(Check("web server", _CHECK),),
        actions=(Action(_STOP, f"systemctl stop {UNIT}"),),
        services=(Service(UNIT, on_change="reload", reads_certificate=True),),
        listeners=tuple(listeners),
    )


_CHECK = 'nginx -t -q -c "$STAGE/etc/nginx/nginx.conf"'
