"""What a host is, as facts report it: packages, certificate, keys, files and units. Pure values.

`mailfleet.facts` reads them, `mailfleet.host.plan` compares them with a HostState.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict


@dataclass(frozen=True)
class PackageState:
    """`interrupted`: dpkg has half-done work, or our start guard was left behind."""

    installed: frozenset[str]
    interrupted: bool


@dataclass(frozen=True)
class FileState:
    """A path's kind (`regular file`, `directory`, …), mode, owner, group and SHA-256 (files only)."""

    kind: str
    mode: int
    owner: str
    group: str
    sha256: str = ""

    @property
    def access(self) -> str:
        """Mode, owner and group, e.g. "0640 root:adm"."""
        return shown_access(self.mode, self.owner, self.group)


def shown_access(mode: int, owner: str, group: str) -> str:
    """Mode, owner and group, e.g. "0640 root:adm"."""
    return f"{mode:04o} {owner}:{group}"


@dataclass(frozen=True)
class TreeState:
    """What exists of the asked paths, and which paths this set managed when it last ran."""

    paths: Mapping[str, FileState]
    managed: frozenset[str]
    unfinished: bool = False
    """Whether files of an earlier run still wait to go live."""


@dataclass(frozen=True)
class ServicesState:
    """Unit names; `pending` also holds names of actions."""

    enabled: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    """Also those that systemd starts or reloads right now."""
    pending: frozenset[str] = frozenset()
    """What still has to learn of a changed file: a mark stays until the reload has succeeded."""
    managed: frozenset[str] = frozenset()
    """The units that an earlier deploy started."""
    waiting: frozenset[str] = frozenset()
    """Those that died, and that systemd starts again after a pause."""
    masked: frozenset[str] = frozenset()
    statuses: Mapping[str, str] = field(default_factory=dict)
    """What units say of themselves (sd_notify(3), STATUS=)."""


class DkimKeyReport(TypedDict):
    """`p` is the base64 SubjectPublicKeyInfo; None where the file holds no readable key."""

    domain: str
    selector: str
    p: str | None
    bits: int | None
    visible: bool | None
    """Whether every authoritative server of the domain answers with this key; None: not known."""
    why: str
    """Which server does not, or why it is not known; empty where the key is visible."""
    owner: str
    """Mode, owner and group of the file, e.g. "600 opendkim opendkim"."""
    signing: bool
    """Whether OpenDKIM's key table names it."""


@dataclass(frozen=True)
class TlsState:
    """PEM texts; empty where there is none. Modes are e.g. `640 root root`."""

    public_key: str = ""
    """Of the first key in the chain file."""
    chains: tuple[str, ...] = ()
    """The certificates of each key in the chain file, the key's own first."""
    mode: str = ""
    key_mode: str = ""
    web_mode: str = ""
    applied_config_hash: str = ""
    """SHA-256 of the configuration that the last successful order carried out."""

    @property
    def certificate(self) -> str:
        """The certificate of the first key."""
        return first_certificate(self.chains[0]) if self.chains else ""


def first_certificate(text: str) -> str:
    """The first certificate of a PEM text; empty where there is none."""
    return pem_block(text, "CERTIFICATE")


def pem_block(text: str, label: str) -> str:
    """The first PEM block with this label (RFC 7468 §2), with its line end; empty where there is none."""
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----\n"
    _, begins, rest = text.partition(begin)
    return begin + rest.partition(end)[0] + end if begins else ""


@dataclass(frozen=True)
class Observed:
    """All of a host that a deploy compares with its HostState."""

    packages: PackageState = PackageState(frozenset(), interrupted=False)
    orphans: frozenset[str] = frozenset()
    """Units that have failed and whose package is gone."""
    mail_servers: tuple[str, ...] = ()
    """Other mail servers that hold ports of ours and make room: package, or program with its pid."""
    certificate: TlsState = field(default_factory=TlsState)
    keys: tuple[DkimKeyReport, ...] = ()
    trees: Mapping[str, TreeState] = field(default_factory=dict)
    """By the set of files: "host" and "dkim"."""
    services: ServicesState = field(default_factory=ServicesState)
