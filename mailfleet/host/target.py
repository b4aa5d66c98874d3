"""One host to configure, with everything that its desired state depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailfleet.host.releases import Release, release_of
from mailfleet.host.scanning import Capacity
from mailfleet.host.uri_lists import UriList
from mailfleet.model import Fleet, Host

_SMALL = Capacity(memory=4096, cores=2)

POLICY_SOCKET = "/run/mailfleet-tls-policy/socket"
"""Where a host's Postfix asks for the TLS policies of receivers."""


@dataclass(frozen=True)
class Roots:
    """Where name resolution starts, other than at the Internet's root: a lab's own root."""

    hints: str
    """A root hints file's text (named.root)."""
    anchor: str
    """DS or DNSKEY records that are trusted."""


@dataclass(frozen=True)
class Authority:
    """An ACME authority other than the fleet's: a lab's own."""

    directory: str
    """URL of its directory."""
    certificate: str
    """Who vouches for its web server (PEM)."""


@dataclass(frozen=True)
class Target:
    """`suite` is the release's code name as the host itself reports it."""

    fleet: Fleet
    host: Host
    suite: str
    logins: Mapping[str, str] = field(repr=False)
    """Password hashes (crypt(3)) by login."""
    roots: Roots | None = None
    authority: Authority | None = None
    """Who issues the certificates; None: the authority that the inventory names."""
    capacity: Capacity = _SMALL
    """What the sizes of the scanners follow from."""
    uri_lists: tuple[UriList, ...] = field(default=(), repr=False)
    """Whom to ask about links in inbound mail; a zone may hold a key."""

    @property
    def release(self) -> Release:
        """What the packages of the host's release can do."""
        return release_of(self.suite)
