"""Host and domain names: kept as A-labels in lower case, without a trailing dot.

Rules: RFC 1123 §2.1 (letters, digits, hyphens), RFC 1035 §2.3.4 (63 octets a label, 253 a name),
RFC 5891 (internationalised names are stored in their ASCII form).
"""

from __future__ import annotations

import re

import idna

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def domain_name(text: str) -> str:
    """The A-label form of `text`, e.g. `Bücher.example` gives `xn--bcher-kva.example`.

    Raises ValueError with a plain reason for anything that is no fully qualified domain name: at
    least two labels, and a last label that is not a number (else it could be read as an address).
    """
    name = text.removesuffix(".")
    try:
        name = idna.encode(name, uts46=True).decode() if not name.isascii() else name.lower()
    except idna.IDNAError as error:
        raise ValueError(
            f"{text!r} is not a valid internationalised domain name: {error}"
        ) from None
    labels = name.split(".")
    if len(labels) < 2:
        raise ValueError(
            f"{text!r} is not fully qualified; write the whole name, e.g. mta1.eu.example.com"
        )
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            f"{text!r} is not a valid host name: labels of 1 to 63 letters, digits and inner hyphens"
        )
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} ends in a number, so it is no domain name")
    return name


def service_name(text: str) -> str:
    """Like `domain_name`, but labels may have underscores, as in `_spf.esp.example`.

    Such names hold records, never hosts (RFC 8552).
    """
    if "_" not in text:
        return domain_name(text)
    # With a letter for each underscore the rules of host names hold.
    stand_in = text.replace("_", "x")
    if "__" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a valid name: labels of letters, digits, - and single _")
    try:
        domain_name(stand_in)
    except ValueError as error:
        raise ValueError(str(error).replace(repr(stand_in), repr(text))) from None
    return text.removesuffix(".").lower()


def is_within(name: str, domain: str) -> bool:
    """Whether `name` is `domain` itself or a name below it."""
    return name == domain or name.endswith(f".{domain}")
