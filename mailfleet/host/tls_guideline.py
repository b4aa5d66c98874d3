"""Mozilla's TLS guideline 6.0, configuration "intermediate", as values for Postfix and OpenSSL.

Source: https://ssl-config.mozilla.org/guidelines/6.0.json. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""The suites of TLS 1.2, in OpenSSL's names; those of TLS 1.3 are all in the guideline."""

PROTOCOLS = ("TLSv1.2", "TLSv1.3")

_CURVES = ("X25519", "prime256v1", "secp384r1")
# What needs OpenSSL 3.5: the key exchange that a quantum computer does not break.
_NEW_CURVES = ("X25519MLKEM768", *_CURVES)
_WITHOUT_MLKEM = ("bookworm", "noble")
# Postfix 3.7 has no finite-field groups other than by a file, and no parameter to switch off.
_WITHOUT_FFDHE_GROUPS = ("bookworm",)


@dataclass(frozen=True)
class ServerTls:
    """The values of one release for Postfix's parameters."""

    ciphers: str
    """tls_medium_cipherlist"""
    curves: str
    """tls_eecdh_auto_curves"""
    ffdhe_groups: bool
    """Whether Postfix knows tls_ffdhe_auto_groups (3.8), which has to be empty then."""


def server_tls(suite: str) -> ServerTls:
    """The guideline for the Postfix and OpenSSL of a release, by its code name."""
    return ServerTls(
        ciphers=":".join(SUITES),
        curves=" ".join(_CURVES if suite in _WITHOUT_MLKEM else _NEW_CURVES),
        ffdhe_groups=suite not in _WITHOUT_FFDHE_GROUPS,
    )
