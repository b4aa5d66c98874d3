"""DKIM public keys as DNS records (RFC 6376 §3.6.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailfleet.model import Fleet

_REVOKED = "v=DKIM1; p="


@dataclass(frozen=True, order=True)
class DkimPublicKey:
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


def key_records(fleet: Fleet, keys: Iterable[DkimPublicKey]) -> Iterator[tuple[str, str]]:
    """Name and content of each key's record, and of those that the domain files revoke.

    A revoked selector stays revoked where a host still has its key. The empty `p=` goes on saying
    so to a receiver that would else take a missing key for a fault that may pass (RFC 6376 §6.1.2).
    """
    revoked = {
        f"{selector}._domainkey.{name}"
        for domain in fleet.domains
        for name in domain.from_domains
        for selector in domain.dkim.revoked
    }
    yield from ((name, _REVOKED) for name in sorted(revoked))
    yield from ((key.name, key.value) for key in keys if key.name not in revoked)


@dataclass(frozen=True)
class HostDkimKeys:
    """What one host said of its keys."""

    keys: tuple[DkimPublicKey, ...]
    complete: bool
    """Whether these are all: false where the host has none yet, or one that cannot be read."""


def keys_of(found: Iterable[Mapping[str, object]]) -> HostDkimKeys:
    """The keys in what the fact `mailfleet.facts.dkim.DkimKeys` found on a host.

    A key without "p" is a file that holds no readable key. It is never published as an empty `p=`,
    which would revoke the key (RFC 6376 §3.6.1).
    """
    entries = list(found)
    keys = tuple(
        DkimPublicKey(str(entry["domain"]), str(entry["selector"]), str(entry["p"]))
        for entry in entries
        if entry["p"]
    )
    return HostDkimKeys(keys, complete=bool(keys) and len(keys) == len(entries))


def unread_keys(fleet: Fleet, read: Collection[str]) -> Callable[[str], bool]:
    """Whether a name may hold a key of a host whose keys are not all known in this run.

    `read` are the names of the hosts that told all their keys: only theirs may be missed. A host that
    is down, outside of a limit, not yet deployed, or that has left the fleet, may still have mail
    under way that its published keys must verify.
    """
    hosts = {host.selector: host.name for host in fleet.hosts}

    def unread(name: str) -> bool:
        selector, is_key, _ = name.partition("._domainkey.")
        # A selector is the host's, a hyphen, and the period, which has no hyphen: Fleet.selector.
        host = hosts.get(selector.rpartition("-")[0])
        return bool(is_key) and (host is None or host not in read)

    return unread
