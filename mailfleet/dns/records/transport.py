"""Records about the TLS of mail servers: TLS-RPT, TLSA and CAA."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.model import Caa


def tls_reports(addresses: Iterable[str]) -> str:
    """The TXT at `_smtp._tls.<domain>` (RFC 8460 §3)."""
    return "v=TLSRPTv1; rua=" + ",".join(f"mailto:{address}" for address in addresses)


def tlsa(spki_sha256: str) -> str:
    """A TLSA 3 1 1 (RFC 7672 §3.1.1): this key, whoever signed its certificate."""
    return f"3 1 1 {spki_sha256.lower()}"


def caa(policy: Caa) -> list[str]:
    """The CAA values (RFC 8659 §4.2) with the account that may ask (RFC 8657 §3)."""
    account = f"; accounturi={policy.account_uri}" if policy.account_uri else ""
    return [f'0 issue "{issuer}{account}"' for issuer in policy.issuers]
