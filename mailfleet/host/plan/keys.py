"""DKIM keys that a deploy would create, and which of the host's keys sign (decision D2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mailfleet.host.observed import DkimKeyReport
from mailfleet.host.paths import DKIM_KEYS
from mailfleet.host.signing import StreamSigner, WantedKey
from mailfleet.host.state import ConfigFile

# OpenDKIM refuses to sign with a key that others can read (RequireSafeKeys).
_OWNER = "600 opendkim opendkim"


@dataclass(frozen=True)
class GuardedKey:
    """A private key's file whose mode or owner has to change."""

    path: str
    access: str
    """Mode, owner and group that it has."""
    units: tuple[str, ...]
    """The signers that read it."""


@dataclass(frozen=True)
class KeysPlan:
    """What `operations.dkim` does to private keys. The signing tables are files like others."""

    create: tuple[WantedKey, ...] = ()
    guard: tuple[GuardedKey, ...] = ()
    notes: tuple[str, ...] = ()
    """Why wanted keys do not sign yet; nothing that a deploy could change."""

    @property
    def is_empty(self) -> bool:
        return not self.create and not self.guard

    @property
    def affected(self) -> dict[str, tuple[str, ...]]:
        """By unit, the keys that it has to read again."""
        paths: dict[str, tuple[str, ...]] = {}
        for key in self.guard:
            for unit in key.units:
                paths[unit] = (*paths.get(unit, ()), key.path)
        return paths


def plan_keys(
    wanted: Sequence[WantedKey], signers: Sequence[StreamSigner], observed: Sequence[DkimKeyReport]
) -> KeysPlan:
    """Compare the wanted keys with the host's."""
    present = {(key["domain"], key["selector"]) for key in observed if key["p"]}
    return KeysPlan(
        create=tuple(key for key in wanted if (key.domain, key.selector) not in present),
        guard=tuple(_guarded(key, signers) for key in observed if key["owner"] != _OWNER),
        notes=tuple(not_signing(key, observed) for key in wanted if not _signs(key, observed)),
    )


def _guarded(key: DkimKeyReport, signers: Iterable[StreamSigner]) -> GuardedKey:
    path = f"{DKIM_KEYS}/{key['domain']}/{key['selector']}.private"
    units = tuple(signer.unit for signer in signers if signer.domain == key["domain"])
    return GuardedKey(path, key["owner"], units)


def signing_files(
    wanted: Sequence[WantedKey], signers: Sequence[StreamSigner], observed: Sequence[DkimKeyReport]
) -> tuple[ConfigFile, ...]:
    """The signers' tables, for the keys that may sign now."""
    signing = signing_keys(wanted, observed)
    signed = {key.domain for key in signing}
    return tables(signers, signing, [key for key in wanted if key.domain not in signed])


def not_signing(wanted: WantedKey, observed: Iterable[DkimKeyReport]) -> str:
    """Why the host does not sign with a key yet, and what to do."""
    name = f"{wanted.selector}._domainkey.{wanted.domain}"
    keys = [k for k in observed if (k["domain"], k["selector"]) == (wanted.domain, wanted.selector)]
    text = f"{name} is not in DNS; push DNS and deploy again"
    if keys and keys[0]["visible"] is None:
        text = (
            f"whether {name} is in DNS is not known: {keys[0]['why']}; "
            "let this host reach its resolver and the name servers, then deploy again"
        )
    elif keys and keys[0]["why"]:
        text = f"{name} is not in DNS ({keys[0]['why']}); push DNS and deploy again"
    return (
        f"not signing with {wanted.selector} yet: {text}. "
        "Until a key signs, the host answers mail of that domain with 451"
    )


def signing_keys(wanted: Iterable[WantedKey], observed: Sequence[DkimKeyReport]) -> list[WantedKey]:
    """For each domain the wanted key if it may sign, else the one that signs now, else none.

    So the old key signs until the new one is visible.
    """
    chosen = []
    for key in wanted:
        if _signs(key, observed):
            chosen.append(key)
            continue
        chosen += [
            replace(key, selector=old["selector"])
            for old in observed
            if old["domain"] == key.domain and old["signing"]
        ][:1]
    return chosen


def _signs(wanted: WantedKey, observed: Iterable[DkimKeyReport]) -> bool:
    for key in observed:
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
        f"{_row_name(k)} {k.domain}:{k.selector}:{DKIM_KEYS}/{k.domain}/{k.selector}.private\n"
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
