"""The certificates that a host serves, the public half of its key, and how its orders went."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.host import paths
from mailfleet.host.observed import TlsState, first_certificate, pem_block

FOLDER = paths.TLS
CHAIN = f"{FOLDER}/chain.pem"
"""Each key followed by its chain, as Postfix wants it."""
WEB_CHAIN = f"{FOLDER}/web.pem"
"""The first key and its chain alone, as nginx wants it."""
KEY = f"{FOLDER}/host.key"
ORDERS = paths.CERTIFICATE_ORDERS
STATE = f"{ORDERS}/state.json"
_APPLIED = f"{ORDERS}/settled"

# Certificates only; a line for each key says that the next one is the first of its chain. No text that
# looks like a key's may stand in a log, hence the dot.
_CHAINS = """\
/^-----BEGIN .*PRIVATE.KEY-/ { print "chain|" }
/^-----BEGIN CERTIFICATE/ { on = 1 }
on { print }
/^-----END CERTIFICATE/ { on = 0 }"""


class Tls(FactBase[TlsState]):
    """`chain` is a file with private keys, each followed by its certificates."""

    def command(self, chain: str, key: str) -> StringCommand:
        path = QuoteString(chain)
        stat = [
            part
            for mark, file in (("mode", chain), ("key", key), ("web", WEB_CHAIN))
            for part in (
                "stat",
                "-c",
                QuoteString(f"{mark}|%a %U %G"),
                QuoteString(file),
                "2>/dev/null;",
            )
        ]
        return StringCommand(
            *stat,
            "sed", QuoteString("s/^/applied|/"), _APPLIED, "2>/dev/null;",
            "openssl pkey -pubout -in", path, "2>/dev/null;",
            "awk", QuoteString(_CHAINS), path, "2>/dev/null; true",
        )  # fmt: skip

    @staticmethod
    def default() -> TlsState:
        return TlsState()

    def process(self, output: list[str]) -> TlsState:
        marks = dict(line.partition("|")[::2] for line in output if "|" in line)
        return TlsState(
            pem_block("\n".join(output) + "\n", "PUBLIC KEY"),
            chains_of(output),
            marks.get("mode", ""),
            marks.get("key", ""),
            marks.get("web", ""),
            marks.get("applied", ""),
        )


class OrderState(FactBase[dict[str, str]]):
    """How the last attempt to get a certificate went: `result` and `reason`; empty before any."""

    def command(self) -> StringCommand:
        return StringCommand("cat", STATE, "2>/dev/null; true")

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        return order_state("\n".join(output))


def order_state(text: str) -> dict[str, str]:
    """`result` and `reason` from the text of the state file; empty where there is none."""
    try:
        state = json.loads(text)
        return {name: str(state[name]) for name in ("result", "reason")}
    except (ValueError, KeyError, TypeError):
        return {}


def chains_command(chain: str) -> StringCommand:
    """Prints what `chains_of` reads."""
    return StringCommand("awk", QuoteString(_CHAINS), QuoteString(chain), "2>/dev/null;")


def chains_of(output: Iterable[str]) -> tuple[str, ...]:
    """The PEM chain of each key in a chain file; what is no certificate is left out."""
    chains: list[list[str]] = []
    inside = False
    for line in output:
        if line == "chain|":
            chains.append([])
        inside = inside or line == "-----BEGIN CERTIFICATE-----"
        if inside and chains:
            chains[-1].append(f"{line}\n")
        inside = inside and line != "-----END CERTIFICATE-----"
    return tuple("".join(lines) for lines in chains if lines)


def spki_sha256(certificate: str) -> str | None:
    """The SHA-256, in hexadecimal, of a certificate's public key (PEM); None without a whole one."""
    try:
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it has no key to publish
        return None
    return hashlib.sha256(der).hexdigest()


def issuers(chain: str) -> str:
    """A PEM chain without its first certificate."""
    return chain[len(first_certificate(chain)) :]
