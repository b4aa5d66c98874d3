"""Putting a lab together: its secrets, its internet, its package proxy and its hosts."""

from __future__ import annotations

import functools
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import mailfleet
from mailfleet.lab import (
    acme,
    addresses,
    cgroups,
    hosts,
    nameserver,
    namespaces,
    network,
    packages,
    paths,
    readiness,
    receiver,
    zones,
)
from mailfleet.lab import ca as authority
from mailfleet.lab.errors import LabError
from mailfleet.lab.hostfiles import HostFile, common_files, known_hosts_lines
from mailfleet.lab.mirror import Mirrors
from mailfleet.lab.paths import LabPaths, write_private
from mailfleet.lab.spec import Host, LabSpec, hosts_of, spec_from_json, spec_to_json

Report = Callable[[str], None]

PROXY_GROUP = ".packages"
_START_SECONDS = 120
"""Far more than a host needs: a machine that builds images or runs tests besides may be slow."""


def build(lab: LabPaths, spec: LabSpec, mirrors: Mirrors, report: Report) -> None:
    """Make a lab of which nothing is there yet; what is made stays if this fails half way."""
    everyone = hosts_of(spec)
    report(f"lab {lab.name}: starting {len(everyone)} hosts")
    for folder in (lab.run, lab.hosts):
        paths.private_directory(folder)
    write_private(lab.spec, json.dumps(spec_to_json(spec)))
    operator = authority.new_ssh_key()
    keys = {host: authority.new_ssh_key() for host in everyone}
    own = _own_files(lab, spec)
    write_private(lab.ssh_key, operator.private)
    write_private(lab.known_hosts, known_hosts_lines(tuple(keys.items())))
    network.build_internet(lab.name)

    def bring_up(host: Host) -> None:
        common = common_files(
            host,
            operator=operator.public,
            host_key=keys[host],
            machine_id=secrets.token_hex(16),
            mirrors=mirrors,
        )
        hosts.prepare(lab, host, (*common, *own.get(host.name, ())))
        start(lab, spec, host)
        report(f"lab {lab.name}: {host.name} answers")

    jobs = [functools.partial(bring_up, host) for host in everyone]
    all_at_once([*jobs, functools.partial(start_proxy, lab, mirrors)])
    write_private(lab.ready, "")


def build_like(lab: LabPaths, origin: LabPaths, mirrors: Mirrors, report: Report) -> None:
    """Make a lab from the files and secrets of a stopped one; what is made stays if this fails."""
    text = origin.stopped.read_text()
    spec = spec_from_json(json.loads(text))
    report(f"lab {lab.name}: starting {len(hosts_of(spec))} hosts like those of {origin.name}")
    for folder in (lab.run, lab.hosts):
        paths.private_directory(folder)
    write_private(lab.spec, text)
    for mine, theirs in zip(lab.secrets, origin.secrets, strict=True):
        write_private(mine, theirs.read_text())
    network.build_internet(lab.name)

    def bring_up(host: Host) -> None:
        hosts.prepare_like(lab, host, origin)
        start(lab, spec, host)
        report(f"lab {lab.name}: {host.name} answers")

    jobs = [functools.partial(bring_up, host) for host in hosts_of(spec)]
    all_at_once([*jobs, functools.partial(start_proxy, lab, mirrors)])
    write_private(lab.ready, "")


def _own_files(lab: LabPaths, spec: LabSpec) -> dict[str, tuple[HostFile, ...]]:
    """Make the lab's secrets, keep them, and return what `ns` and `receiver` need of them."""
    ca = authority.new_authority(f"mailfleet lab {lab.name}")
    write_private(lab.own_ca, ca.certificate_pem)
    write_private(lab.ca_certificate, ca.certificate_pem)
    tsig = authority.new_tsig_secret()
    write_private(
        lab.tsig,
        json.dumps(
            {
                "name": nameserver.TSIG_NAME,
                "algorithm": nameserver.TSIG_ALGORITHM,
                "secret": tsig,
            }
        ),
    )
    keys = {zone: zones.new_zone_key() for zone in zones.all_zones(spec.zones)}
    write_private(lab.root_hints, zones.root_hints())
    write_private(lab.trust_anchor, zones.trust_anchor(keys[zones.ROOT]))
    certificate = ca.issue(
        (addresses.RECEIVER_NAME, addresses.RECEIVER_V4_NAME, addresses.RECEIVER_V6_NAME)
    )
    texts = zones.zone_texts(keys, certificate.spki_sha256)
    return {
        "ns": (
            *nameserver.files(keys, texts, tsig),
            *acme.files(ca.issue((addresses.ACME_NAME,))),
        ),
        "receiver": receiver.files(certificate),
    }


def start_proxy(lab: LabPaths, mirrors: Mirrors) -> None:
    """Start the lab's package proxy and wait until it listens."""
    internet = namespaces.internet(lab.name)
    group = hosts.group_of(lab.name, PROXY_GROUP)
    file = lab.run / "packages.json"
    paths.shared_directory(paths.PACKAGES)
    write_private(
        file,
        packages.configuration(
            internet,
            addresses.PACKAGES_PORT,
            (mirrors.main, mirrors.security),
            paths.PACKAGES,
            mirrors.proxy,
        ),
    )
    cgroups.spawn(
        group,
        [sys.executable, "-m", "mailfleet.lab.package_proxy", str(file)],
        log=lab.log("packages"),
        environment={"PYTHONPATH": str(Path(mailfleet.__file__).parent.parent)},
    )
    namespaces.inside(
        internet,
        lambda: readiness.await_true(
            "the package proxy",
            lambda: readiness.accepts(addresses.PACKAGES[0], addresses.PACKAGES_PORT),
            alive=lambda: cgroups.populated(group),
            seconds=_START_SECONDS,
        ),
    )


def start(lab: LabPaths, spec: LabSpec, host: Host) -> None:
    """Boot a prepared host and wait until its services answer."""
    hosts.mount(lab.host(host.name), host)
    network.connect(lab.name, host)
    hosts.start(lab, host)

    def answers() -> bool:
        if not readiness.ssh_answers(host.addresses[0]):
            return False
        if host.kind == "nameserver":
            return readiness.zones_validate(zones.all_zones(spec.zones)) and trust_acme(lab)
        return host.kind != "receiver" or readiness.mail_answers(host.addresses)

    try:
        namespaces.inside(
            namespaces.internet(lab.name),
            lambda: readiness.await_true(
                host.name,
                answers,
                alive=lambda: hosts.running(lab.name, host),
                seconds=_START_SECONDS,
            ),
        )
    except LabError as error:
        raise LabError(error.problem, _last_signs(lab, host)) from error


def await_acme(lab: LabPaths, spec: LabSpec) -> None:
    """Learn Pebble's root once more: if it was restarted, it has another one."""
    server = next(host for host in hosts_of(spec) if host.kind == "nameserver")
    namespaces.inside(
        namespaces.internet(lab.name),
        lambda: readiness.await_true(
            "the lab's certificate authority",
            lambda: trust_acme(lab),
            alive=lambda: hosts.running(lab.name, server),
            seconds=_START_SECONDS,
        ),
    )


def trust_acme(lab: LabPaths) -> bool:
    """Learn the root that Pebble has now; whether it has told. Runs within the lab's internet."""
    try:
        acme.trust(lab.ca_certificate, acme.root(lab.own_ca))
    except (OSError, HTTPException):
        return False
    return True


def _last_signs(lab: LabPaths, host: Host) -> str:
    """What there is to see of a host that does not come up."""
    log = lab.log(host.name).read_text(errors="replace").splitlines()
    lines = [line.strip() for line in log if line.strip()]
    runs = cgroups.members(hosts.group_of(lab.name, host.name))
    return f"it said last: {' / '.join(lines[-10:])}; it runs: {', '.join(runs) or 'nothing'}"


def all_at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Do all `jobs` in parallel; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()
