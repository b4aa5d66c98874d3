"""Mozilla's TLS guideline 6.0, configuration "intermediate", as values for Postfix and OpenSSL.

Source: https://ssl-config.mozilla.org/guidelines/6.0.json. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.host.releases import Release

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""The suites of TLS 1.2, in OpenSSL's names; those of TLS 1.3 are all in the guideline."""

_CURVES = ("X25519", "prime256v1", "secp384r1")
_NEW_CURVES = ("X25519MLKEM768", *_CURVES)


@dataclass(frozen=True)
class ServerTls:
    """The values of one release for Postfix's parameters."""

    ciphers: str
    """tls_medium_cipherlist"""
    curves: str
    """tls_eecdh_auto_curves"""
    ffdhe_groups: bool
    """Whether Postfix knows tls_ffdhe_auto_groups (3.8), which has to be empty then."""


def server_tls(release: Release) -> ServerTls:
    """The guideline for the Postfix and OpenSSL of a release."""
    return ServerTls(
        ciphers=":".join(SUITES),
        curves=" ".join(_NEW_CURVES if release.has_mlkem else _CURVES),
        ffdhe_groups=release.has_ffdhe_groups,
    )
