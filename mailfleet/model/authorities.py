"""The certificate authorities that an inventory may name by a word: Let's Encrypt's two."""

from __future__ import annotations

# https://letsencrypt.org/docs/acme-protocol-updates/, https://letsencrypt.org/docs/staging-environment/
DIRECTORIES = {
    "production": "https://acme-v02.api.letsencrypt.org/directory",
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
ISSUER = "letsencrypt.org"
"""What a CAA record has to say so that either of the two issues (https://letsencrypt.org/docs/caa/)."""


def authority(text: str) -> str:
    """The word for a directory that has one, else the text itself: one authority, one spelling."""
    words = {directory: word for word, directory in DIRECTORIES.items()}
    return words.get(text, text)
