"""The public halves of a host's keys that DNS publishes, all in one remote command."""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.facts.dkim import DkimKeys, HostKey
from mailfleet.facts.tls import CHAIN, spki_sha256


class HostPublicKeys(TypedDict):
    """What one host has."""

    dkim: list[HostKey]
    certificate: str | None
    """SHA-256, in hexadecimal, of the SubjectPublicKeyInfo of the certificate in use.

    It is what a TLSA 3 1 1 record holds (RFC 7672 §3.1.1). None where there is no readable
    certificate.
    """


class PublicKeys(FactBase[HostPublicKeys]):
    """DKIM keys and the key of the certificate that the host serves."""

    def command(self) -> StringCommand:
        # The reporter's exit code is the command's: a host without a certificate is no failure.
        return StringCommand(
            "openssl x509 -noout -pubkey -in", QuoteString(CHAIN), "2>/dev/null;",
            DkimKeys().command(),
        )  # fmt: skip

    def requires_command(self) -> str:
        return DkimKeys().requires_command()

    @staticmethod
    def default() -> HostPublicKeys:
        return {"dkim": [], "certificate": None}

    def process(self, output: list[str]) -> HostPublicKeys:
        return {"dkim": DkimKeys().process(output), "certificate": spki_sha256(output)}
