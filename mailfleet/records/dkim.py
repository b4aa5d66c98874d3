"""DKIM public keys as DNS records (RFC 6376 §3.6.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mailfleet.model import Fleet
from mailfleet.records.rrset import RRset, rrset, txt


@dataclass(frozen=True, order=True)
class PublicKey:
    """The public half of a host's signing key, as the host reports it."""

    domain: str
    selector: str
    p: str
    """The SubjectPublicKeyInfo in base64, without white space."""

    @property
    def name(self) -> str:
        """Where verifiers look the key up (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def value(self) -> str:
        """The record's content."""
        return f"v=DKIM1; k=rsa; p={self.p}"


def key_record(key: PublicKey, ttl: int) -> RRset:
    """The TXT RRset that publishes a key."""
    return rrset(key.name, "TXT", ttl, txt(key.value))


@dataclass(frozen=True)
class HostKeys:
    """What one host said of its keys."""

    keys: tuple[PublicKey, ...]
    complete: bool
    """Whether these are all: false where the host has none yet, or one that cannot be read."""


def keys_of(found: Iterable[Mapping[str, object]]) -> HostKeys:
    """The keys in what the fact `mailfleet.facts.dkim.DkimKeys` found on a host.

    A key without "p" is a file that holds no readable key. It is never published as an empty `p=`,
    which would revoke the key (RFC 6376 §3.6.1).
    """
    entries = list(found)
    keys = tuple(
        PublicKey(str(entry["domain"]), str(entry["selector"]), str(entry["p"]))
        for entry in entries
        if entry["p"]
    )
    return HostKeys(keys, complete=bool(keys) and len(keys) == len(entries))


def unread_keys(fleet: Fleet, read: Collection[str]) -> Callable[[str], bool]:
    """Whether a name may hold a key of a host whose keys are not all known in this run.

    `read` are the names of the other hosts. A host that is down, outside of a limit or not yet
    deployed may still have mail under way that its published keys must verify.
    """
    prefixes = tuple(f"{host.selector}-" for host in fleet.hosts if host.name not in read)

    def unread(name: str) -> bool:
        return bool(prefixes) and "._domainkey." in name and name.startswith(prefixes)

    return unread
