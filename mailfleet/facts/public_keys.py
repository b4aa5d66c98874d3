"""The public halves of a host's keys that DNS publishes, all in one remote command."""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api import FactBase, StringCommand

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.tls import CHAIN, chains_command, chains_of, spki_sha256
from mailfleet.host.observed import DkimKeyReport


class HostPublicKeys(TypedDict):
    """What one host has."""

    dkim: list[DkimKeyReport]
    certificates: list[str]
    """SHA-256, in hexadecimal, of the SubjectPublicKeyInfo of each certificate in use.

    It is what a TLSA 3 1 1 record holds (RFC 7672 §3.1.1). Empty where there is no readable
    certificate.
    """


class PublicKeys(FactBase[HostPublicKeys]):
    """DKIM keys and the key of the certificate that the host serves."""

    def command(self) -> StringCommand:
        # The reporter's exit code is the command's: a host without a certificate is no failure.
        return StringCommand(chains_command(CHAIN), DkimKeys().command())

    def requires_command(self) -> str:
        return DkimKeys().requires_command()

    @staticmethod
    def default() -> HostPublicKeys:
        return {"dkim": [], "certificates": []}

    def process(self, output: list[str]) -> HostPublicKeys:
        hashes = (spki_sha256(chain) for chain in chains_of(output))
        return {
            "dkim": DkimKeys().process(output),
            "certificates": [key for key in hashes if key is not None],
        }
