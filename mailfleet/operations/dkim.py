"""DKIM keys and signing tables (decision D2): a key is born here, and signs once DNS shows it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.dkim import KEYS, DkimKeys, HostKey
from mailfleet.facts.services import PENDING
from mailfleet.hoststate import ConfigFile
from mailfleet.operations.files import ship

# OpenDKIM refuses to sign with a key that others can read (RequireSafeKeys).
_OWNER = "600 opendkim opendkim"
KEY_TABLE = "/etc/opendkim/key.table"
SIGNING_TABLE = "/etc/opendkim/signing.table"

# Written beside its final place and renamed: a key that exists is whole.
_GENERATE = """\
set -eu
umask 077
install -d -m 750 -o root -g opendkim /etc/opendkim "$1"
install -d -m 750 -o root -g opendkim "$1/$2"
openssl genrsa -out "$1/$2/$3.new" "$4" 2>/dev/null
chown opendkim:opendkim "$1/$2/$3.new"
mv "$1/$2/$3.new" "$1/$2/$3.private"
"""


@dataclass(frozen=True)
class WantedKey:
    """A key that the host shall have, and the further From domains that it signs for.

    Those are return paths: a mail that is submitted without From gets its sender as From, and a
    signature of the parent domain aligns with it (RFC 9989 §5.1).
    """

    domain: str
    selector: str
    bits: int
    also: tuple[str, ...] = ()


@operation()
def sign(wanted: tuple[WantedKey, ...], unit: str) -> Generator[StringCommand, None, None]:
    """Create missing keys, and sign with every wanted key that all authoritative servers show.

    A key that signs already goes on signing when a name server cannot be reached for a while:
    mail without a signature would be worse, and `mailfleet verify` reports the server.
    """
    keys = host.get_fact(DkimKeys)
    present = {(key["domain"], key["selector"]) for key in keys if key["p"]}
    for key in wanted:
        if (key.domain, key.selector) not in present:
            yield StringCommand(
                "sh", "-c", QuoteString(_GENERATE), "generate",
                *map(QuoteString, (KEYS, key.domain, key.selector, str(key.bits))),
            )  # fmt: skip
    for found in keys:
        if found["owner"] != _OWNER:
            path = QuoteString(f"{KEYS}/{found['domain']}/{found['selector']}.private")
            yield StringCommand(
                "chown opendkim:opendkim", path, "&& chmod 600", path,
                "&& touch", QuoteString(f"{PENDING}/{unit}"),
            )  # fmt: skip
    for key in wanted:
        if not _signs(key, keys):
            logger.warning(
                f"{host.print_prefix}not signing with {key.selector} yet: "
                f"{key.selector}._domainkey.{key.domain} is not in DNS; push DNS and deploy again. "
                "Until a key signs, the host answers mail of that domain with 451"
            )
    signing = signers(wanted, keys)
    signed = {key.domain for key in signing}
    waiting = [key for key in wanted if key.domain not in signed]
    yield from ship("dkim", tables(signing, unit, waiting))


def signers(wanted: tuple[WantedKey, ...], keys: list[HostKey]) -> list[WantedKey]:
    """For each domain the wanted key if it may sign, else the one that signs now, else none.

    So the old key signs until the new one is visible.
    """
    chosen = []
    for key in wanted:
        if _signs(key, keys):
            chosen.append(key)
            continue
        chosen += [
            replace(key, selector=old["selector"])
            for old in keys
            if old["domain"] == key.domain and old["signing"]
        ][:1]
    return chosen


def _signs(wanted: WantedKey, keys: list[HostKey]) -> bool:
    for key in keys:
        if (key["domain"], key["selector"]) == (wanted.domain, wanted.selector):
            return key["visible"] or key["signing"]
    return False


def tables(
    keys: Sequence[WantedKey], unit: str, waiting: Sequence[WantedKey] = ()
) -> tuple[ConfigFile, ...]:
    """OpenDKIM's key and signing table for `keys` (opendkim.conf(5): KeyTable, SigningTable).

    The domains of `waiting` must not send yet: their rows name a key that the key table lacks, and
    OpenDKIM answers such mail with a temporary failure. Without a row it would let it pass unsigned.
    """
    key_rows = [
        f"{k.selector}._domainkey.{k.domain} {k.domain}:{k.selector}:{KEYS}/{k.domain}/{k.selector}.private\n"
        for k in keys
    ]
    signing_rows = [
        f"*@{domain} {k.selector}._domainkey.{k.domain}\n"
        for k in (*keys, *waiting)
        for domain in (k.domain, *k.also)
    ]
    return (
        ConfigFile(KEY_TABLE, "".join(key_rows), 0o640, "root", "opendkim", (unit,)),
        ConfigFile(SIGNING_TABLE, "".join(signing_rows), 0o640, "root", "opendkim", (unit,)),
    )
