"""The releases that mailfleet configures, and what their packages can do. Pure.

What differs between releases follows from this table: a role asks for a capability, never for a name,
so that a new release is one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True)
class Release:
    """A release with the versions of its packages."""

    codename: str
    """VERSION_CODENAME of /etc/os-release."""
    label: str
    is_tested: bool
    """Whether tests deploy it to hosts; the files of others are only rendered."""
    postfix: Version
    dovecot: Version
    openssh: Version
    openssl: Version

    @property
    def has_postfix_parent_unit(self) -> bool:
        """Whether postfix.service stands for all instances, each of which has postfix@INSTANCE.service.

        Since Postfix 3.9, Debian's postfix.service is the default instance itself, and the others are
        named after what follows "postfix-".
        """
        return self.postfix < (3, 9)

    @property
    def has_ffdhe_groups(self) -> bool:
        """Whether Postfix knows tls_ffdhe_auto_groups."""
        return self.postfix >= (3, 8)

    @property
    def has_tls_required(self) -> bool:
        """Whether Postfix heeds "TLS-Required: No" in a message (RFC 8689)."""
        return self.postfix >= (3, 10)

    @property
    def has_mlkem(self) -> bool:
        """Whether OpenSSL knows X25519MLKEM768, which a quantum computer does not break."""
        return self.openssl >= (3, 5)

    @property
    def has_ssh_mlkem(self) -> bool:
        """Whether sshd knows mlkem768x25519-sha256; it refuses a file that names what it does not know."""
        return self.openssh >= (9, 9)

    @property
    def has_ssh_penalties(self) -> bool:
        """Whether sshd knows PerSourcePenaltyExemptList."""
        return self.openssh >= (9, 8)

    @property
    def has_ssh_generator(self) -> bool:
        """Whether systemd makes sockets of sshd for local users and hypervisors (since systemd 256)."""
        return self.openssh >= (10, 0)

    @property
    def has_dovecot_24_syntax(self) -> bool:
        """Whether Dovecot reads the language of 2.4, which is another than that of 2.3."""
        return self.dovecot >= (2, 4)


RELEASES = {
    release.codename: release
    for release in (
        Release("bookworm", "Debian 12", True, (3, 7), (2, 3), (9, 2), (3, 0)),
        Release("trixie", "Debian 13", True, (3, 10), (2, 4), (10, 0), (3, 5)),
        Release("noble", "Ubuntu 24.04", False, (3, 8), (2, 3), (9, 6), (3, 0)),
    )
}
TESTED = tuple(name for name, release in RELEASES.items() if release.is_tested)
"""The code names of those that tests deploy."""


def release_of(codename: str) -> Release:
    """The release of a code name; KeyError for one that mailfleet does not configure.

    A host that could not be asked has none ("") and is given up: what it would get is of no account.
    """
    return RELEASES[codename or TESTED[-1]]
