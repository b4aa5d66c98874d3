"""TSIG keys (RFC 8945): from a secret's text to dnspython's key."""

from __future__ import annotations

import base64

import dns.name
import dns.tsig

from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret, variable

_ALGORITHMS = {
    "hmac-sha224": dns.tsig.HMAC_SHA224,
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
}
_DEFAULT = "hmac-sha256"


def tsig_key(name: str, secret: Secret) -> dns.tsig.Key:
    """The key; the secret is base64, or `hmac-sha512:` and base64 for another algorithm.

    SHA-1 and MD5 are not offered (RFC 8945 §6 advises against them).
    """
    before, colon, after = secret.reveal().rpartition(":")
    algorithm = before.lower() if colon else _DEFAULT
    if algorithm not in _ALGORITHMS:
        # The part before the colon is not repeated: it may belong to the secret.
        problem = f"the TSIG secret {variable(f'tsig-{name}')} names no known algorithm"
        raise MailfleetError(problem, f"write one of {', '.join(_ALGORITHMS)}, a colon, base64")
    try:
        raw = base64.b64decode(after, validate=True)
    except ValueError:
        raw = b""
    if not raw:
        problem = f"the TSIG secret {variable(f'tsig-{name}')} is not base64"
        raise MailfleetError(problem, "copy the secret from the name server's key file")
    return dns.tsig.Key(dns.name.from_text(name), raw, _ALGORITHMS[algorithm])
