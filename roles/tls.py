"""The host's certificate, by ACME and certbot: one lineage for every name that it answers to.

`agent/certificate/main.py` does the work on the host, from a timer, and in a deploy where the present
certificate is not what the host needs.
"""

from __future__ import annotations

from agent.certificate.config import Config, Lineage
from agent.lib.configuration import dump
from mailfleet.host import agent, certificates, paths
from mailfleet.host.sandbox import RELOAD
from mailfleet.host.state import ConfigFile, Directory, HostState, Service, WantedCertificate
from mailfleet.host.target import Target
from mailfleet.host.templates import render

TIMER = "mailfleet-certificate.timer"
CONFIG = "/etc/mailfleet/certificate.json"
_BUNDLE = "/etc/mailfleet/acme.pem"


def names(target: Target) -> tuple[str, ...]:
    """Host name first, then HELO names, endpoints and the names of MTA-STS policies."""
    return certificates.names(target.fleet, target.host)


def desired(target: Target, others: HostState) -> HostState:
    """certbot, the agent with its timer, and which units of `others` it reloads."""
    reload = (RELOAD,)
    configuration = ConfigFile(CONFIG, config(target, others.certificate_readers))
    files = [
        configuration,
        ConfigFile(
            f"{paths.UNITS}/mailfleet-certificate.service",
            render("etc/systemd/system/mailfleet-certificate.service", command=agent.COMMAND),
            affects=reload,
        ),
        ConfigFile(
            f"{paths.UNITS}/{TIMER}",
            render(f"etc/systemd/system/{TIMER}"),
            affects=(*reload, TIMER),
        ),
    ]
    if target.authority is not None:
        files.append(ConfigFile(_BUNDLE, target.authority.certificate))
    return HostState(
        packages=("certbot", "openssl"),
        certificate=WantedCertificate(names(target), configuration.sha256),
        directories=(
            Directory(paths.OWN_CONFIGURATION),
            Directory(paths.TLS, mode=0o700),
            Directory(paths.CERTIFICATE_ORDERS),
            Directory(paths.METRICS),
        ),
        files=tuple(files),
        services=(Service(TIMER),),
        # It renews without looking first whether every name can be validated, and each failure counts at
        # the authority. The agent's timer does its work.
        masked=("certbot.timer",),
        as_packaged=("certbot.service",),
    )


def config(target: Target, units: tuple[str, ...]) -> str:
    """What the agent of the certificate reads."""
    fleet, host, lab = target.fleet, target.host, target.authority
    directory = lab.directory if lab else certificates.directory(fleet)
    lineages = [Lineage(host.name, "ecdsa")]
    if certificates.needs_rsa(fleet, host):
        lineages.append(Lineage(f"{host.name}-rsa", "rsa"))
    return dump(
        Config(
            names=names(target),
            lineages=tuple(lineages),
            directory=directory,
            contact=fleet.acme_contact,
            addresses=tuple(str(a) for fleet_host in fleet.hosts for a in fleet_host.all_addresses),
            units=units,
            bundle=_BUNDLE if lab else None,
            public=directory == certificates.PRODUCTION,
        )
    )
