"""The certificate chain that a host serves, and the public half of its key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from pyinfra.api import FactBase, QuoteString, StringCommand

CHAIN = "/etc/mailfleet/tls/chain.pem"


@dataclass(frozen=True)
class TlsState:
    """PEM texts; empty where there is none. `mode` is the chain file's, e.g. `640 root root`."""

    public_key: str = ""
    certificate: str = ""
    mode: str = ""
    key_mode: str = ""
    """The same of the key's own file."""


class Tls(FactBase[TlsState]):
    """`chain` is a file with the private key first, then the certificates, as Postfix wants it."""

    def command(self, chain: str, key: str) -> StringCommand:
        path = QuoteString(chain)
        return StringCommand(
            "stat", "-c", QuoteString("mode|%a %U %G"), path, "2>/dev/null;",
            "stat", "-c", QuoteString("key|%a %U %G"), QuoteString(key), "2>/dev/null;",
            "openssl pkey -pubout -in", path, "2>/dev/null;",
            "openssl x509 -in", path, "2>/dev/null; true",
        )  # fmt: skip

    @staticmethod
    def default() -> TlsState:
        return TlsState()

    def process(self, output: list[str]) -> TlsState:
        text = "\n".join(output) + "\n"
        mode = next((line[5:] for line in output if line.startswith("mode|")), "")
        key_mode = next((line[4:] for line in output if line.startswith("key|")), "")
        return TlsState(_pem(text, "PUBLIC KEY"), _pem(text, "CERTIFICATE"), mode, key_mode)


class SigningRequest(FactBase[str]):
    """A certificate request made of a host's key; the subject is set by whoever signs it."""

    def command(self, key: str) -> StringCommand:
        return StringCommand("openssl req -new -subj / -key", QuoteString(key))


def spki_sha256(output: Iterable[str]) -> str | None:
    """The SHA-256, in hexadecimal, of the first public key in PEM; None without a whole one."""
    try:
        key = load_pem_public_key(_pem("\n".join(output) + "\n", "PUBLIC KEY").encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def _pem(text: str, label: str) -> str:
    start, end = f"-----BEGIN {label}-----", f"-----END {label}-----\n"
    _, found, rest = text.partition(start)
    return start + rest.partition(end)[0] + end if found else ""
