"""Reaching a lab that is up: its network, its hosts, its secrets and the mail it received."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from mailfleet.lab import acme, addresses, lifecycle, namespaces, receiver, requirements
from mailfleet.lab.addresses import Address
from mailfleet.lab.paths import LabPaths
from mailfleet.lab.spec import check_name


@dataclass(frozen=True)
class Tsig:
    """The key that signs updates and transfers of the lab's zones."""

    name: str
    algorithm: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class LabFiles:
    """What an operator of the lab holds."""

    ssh_key: Path
    known_hosts: Path
    ca_certificate: Path
    """Everyone whose certificates the lab trusts: its own authority's and Pebble's roots."""
    own_ca: Path
    """The lab's own authority alone, which signed the certificate of Pebble's interface."""
    acme_directory: str
    root_hints: Path
    trust_anchor: Path
    tsig: Tsig
    nameserver: tuple[Address, ...]
    resolvers: tuple[Address, ...]
    mailboxes: Path


def enter(name: str) -> None:
    """Move this process into the lab's internet, from where every host can be reached directly.

    Call it in the main thread before any other thread starts: threads that run already stay
    outside. To call it again does nothing. `LabError` if the lab is not up.
    """
    _lab(name)
    internet = namespaces.internet(name)
    if not namespaces.joined(internet):
        namespaces.join(internet)


def ssh_command(name: str, host: str) -> list[str]:
    """The command that logs in to a host as root; from anywhere, entered or not.

    `host` is a name or the beginning of one. A command for the host can be appended.
    """
    lab = _lab(name)
    chosen = lifecycle.find_host(lifecycle.spec_of(lab), host)
    return [
        "nsenter",
        f"--net={namespaces.handle(namespaces.internet(name))}",
        "ssh",
        "-F",
        "none",
        "-i",
        str(lab.ssh_key),
        "-o",
        f"UserKnownHostsFile={lab.known_hosts}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "IdentityAgent=none",
        "-o",
        "BatchMode=yes",
        "-o",
        "LogLevel=ERROR",
        f"root@{chosen.addresses[0]}",
    ]


def files(name: str) -> LabFiles:
    """The keys, certificates and addresses of a lab that is up."""
    lab = _lab(name)
    return LabFiles(
        ssh_key=lab.ssh_key,
        known_hosts=lab.known_hosts,
        ca_certificate=lab.ca_certificate,
        own_ca=lab.own_ca,
        acme_directory=acme.DIRECTORY,
        root_hints=lab.root_hints,
        trust_anchor=lab.trust_anchor,
        tsig=Tsig(**json.loads(lab.tsig.read_text())),
        nameserver=addresses.NAMESERVER,
        resolvers=addresses.RESOLVER,
        mailboxes=lab.host("receiver").root / receiver.MAILBOX,
    )


def received(name: str, containing: str = "") -> Iterator[EmailMessage]:
    """The mail that the lab's receiver has accepted, oldest first; see `receiver.messages`."""
    return receiver.messages(_lab(name).host("receiver").root, containing)


def _lab(name: str) -> LabPaths:
    check_name(name)
    requirements.check_platform()
    lab = LabPaths(name)
    lifecycle.spec_of(lab)
    return lab
