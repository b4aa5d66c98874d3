"""Where a lab keeps things, and the lock that keeps two commands on one lab apart.

`/run` holds what ends with the processes, `/var/lib` what the hosts write and the lab's secrets,
`/var/cache` what is dear to make again; `MAILFLEET_LAB_CACHE` names another folder for that. Nothing is
kept outside these three.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUN = Path("/run/mailfleet/labs")
STATE = Path("/var/lib/mailfleet/labs")
_CACHE = Path(os.environ.get("MAILFLEET_LAB_CACHE") or "/var/cache/mailfleet")
IMAGES = _CACHE / "images"
PACKAGES = _CACHE / "packages"


@dataclass(frozen=True)
class HostPaths:
    """The folders of one host: `root` is the merged tree that the host runs on."""

    base: Path

    @property
    def upper(self) -> Path:
        return self.base / "upper"

    @property
    def work(self) -> Path:
        return self.base / "work"

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def origin(self) -> Path:
        """A link to the folder of the host that this one started from, if it did from any."""
        return self.base / "origin"


@dataclass(frozen=True)
class LabPaths:
    """The files of one lab."""

    name: str

    @property
    def run(self) -> Path:
        return RUN / self.name

    @property
    def state(self) -> Path:
        return STATE / self.name

    @property
    def spec(self) -> Path:
        """The spec; written first, so that every half-made lab says what it was to become."""
        return self.run / "spec.json"

    @property
    def ready(self) -> Path:
        """There once every host has answered; a lab without it is half made."""
        return self.run / "ready"

    def log(self, what: str) -> Path:
        return self.run / f"{what}.log"

    def host(self, host: str) -> HostPaths:
        return HostPaths(self.state / "hosts" / host)

    @property
    def hosts(self) -> Path:
        return self.state / "hosts"

    @property
    def ssh_key(self) -> Path:
        return self.state / "operator"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    @property
    def tsig(self) -> Path:
        return self.state / "tsig.json"

    @property
    def own_ca(self) -> Path:
        """Who vouches for the lab's own servers: the receiver, and Pebble's interface."""
        return self.state / "own-ca.pem"

    @property
    def ca_certificate(self) -> Path:
        """All that the lab trusts: its own authority, and every root that Pebble has had."""
        return self.state / "ca.pem"

    @property
    def root_hints(self) -> Path:
        return self.state / "root.hints"

    @property
    def trust_anchor(self) -> Path:
        return self.state / "root.key"

    @property
    def stopped(self) -> Path:
        """The spec of a lab that was stopped in order; its files are whole."""
        return self.state / "stopped.json"

    @property
    def secrets(self) -> tuple[Path, ...]:
        """What the lab's operator holds, and the hosts know."""
        return (
            self.ssh_key,
            self.known_hosts,
            self.tsig,
            self.own_ca,
            self.ca_certificate,
            self.root_hints,
            self.trust_anchor,
        )


def private_directory(path: Path) -> None:
    """Make `path` and what is missing above it, readable by root alone."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)


def shared_directory(path: Path) -> None:
    """Make `path` and what is missing above it, readable by all: hosts and proxy run as others."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)


def write_private(path: Path, text: str) -> None:
    """Write a file that only root can read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever has it; the file is gone afterwards."""
    private_directory(path.parent)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            # Whoever held it before us removed it: a later comer may already hold a new file.
            if os.fstat(handle).st_ino == path.stat().st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def lock_of(name: str) -> Path:
    """The lock file of a lab; beside its folders, so that removing them does not free it."""
    return RUN / f".{name}.lock"
