"""DKIM keys and signing tables (decision D2): a key is born here, and signs once DNS shows it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.dkim import DkimKeys, HostKey
from mailfleet.facts.services import PENDING
from mailfleet.host.signing import KEYS, StreamSigner
from mailfleet.host.state import ConfigFile
from mailfleet.operations.files import ship

# OpenDKIM refuses to sign with a key that others can read (RequireSafeKeys).
_OWNER = "600 opendkim opendkim"

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
    """A key that the host shall have."""

    domain: str
    selector: str
    bits: int


@operation()
def sign(
    wanted: tuple[WantedKey, ...], signers: tuple[StreamSigner, ...]
) -> Generator[StringCommand, None, None]:
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
            marks = [
                QuoteString(f"{PENDING}/{signer.unit}")
                for signer in signers
                if signer.domain == found["domain"]
            ]
            yield StringCommand(
                "chown opendkim:opendkim", path, "&& chmod 600", path,
                *(("&& touch", *marks) if marks else ()),
            )  # fmt: skip
    for key in wanted:
        if not _signs(key, keys):
            logger.warning(f"{host.print_prefix}{not_signing(key, keys)}")
    signing = signing_keys(wanted, keys)
    signed = {key.domain for key in signing}
    waiting = [key for key in wanted if key.domain not in signed]
    yield from ship("dkim", tables(signers, signing, waiting))


def not_signing(wanted: WantedKey, keys: list[HostKey]) -> str:
    """Why the host does not sign with a key yet, and what to do."""
    name = f"{wanted.selector}._domainkey.{wanted.domain}"
    found = [k for k in keys if (k["domain"], k["selector"]) == (wanted.domain, wanted.selector)]
    text = f"{name} is not in DNS; push DNS and deploy again"
    if found and found[0]["visible"] is None:
        text = (
            f"whether {name} is in DNS is not known: {found[0]['why']}; "
            "let this host reach its resolver and the name servers, then deploy again"
        )
    elif found and found[0]["why"]:
        text = f"{name} is not in DNS ({found[0]['why']}); push DNS and deploy again"
    return (
        f"not signing with {wanted.selector} yet: {text}. "
        "Until a key signs, the host answers mail of that domain with 451"
    )


def signing_keys(wanted: tuple[WantedKey, ...], keys: list[HostKey]) -> list[WantedKey]:
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
            return bool(key["visible"] or key["signing"])
    return False


def tables(
    signers: Sequence[StreamSigner],
    keys: Sequence[WantedKey],
    waiting: Sequence[WantedKey] = (),
) -> tuple[ConfigFile, ...]:
    """Each signer's key and signing table for `keys` (opendkim.conf(5): KeyTable, SigningTable).

    A row that names a key that the key table lacks makes OpenDKIM answer with a temporary failure;
    without a row it would let the mail pass unsigned. So have the domains of `waiting`, which must not
    send yet, and all that are not the signer's.
    """
    return tuple(file for signer in signers for file in _tables_of(signer, keys, waiting))


def _tables_of(
    signer: StreamSigner, keys: Sequence[WantedKey], waiting: Sequence[WantedKey]
) -> tuple[ConfigFile, ConfigFile]:
    key_rows = [
        f"{_row_name(k)} {k.domain}:{k.selector}:{KEYS}/{k.domain}/{k.selector}.private\n"
        for k in keys
        if k.domain == signer.domain
    ]
    signing_rows = [
        f"*@{domain} {_row_name(k)}\n"
        for k in (*keys, *waiting)
        if k.domain == signer.domain
        for domain in signer.domains
    ]
    signing_rows.append(f"* no-key-for-other-domains-than.{signer.domain}\n")
    return (
        ConfigFile(signer.key_table, "".join(key_rows), 0o640, "root", "opendkim", (signer.unit,)),
        ConfigFile(
            signer.signing_table, "".join(signing_rows), 0o640, "root", "opendkim", (signer.unit,)
        ),
    )


def _row_name(key: WantedKey) -> str:
    return f"{key.selector}._domainkey.{key.domain}"
