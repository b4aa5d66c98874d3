"""What the place where a fleet lives offers its hosts: the Internet, or a lab. Pure.

Code asks for what is offered, never for the place. What needs files or the network of the place is in
`mailfleet/project/environment.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Offers:
    """The differences between places that the model, the roles and the plans have to know."""

    example_addresses: bool
    """Whether addresses reserved for documentation (RFC 5737, RFC 3849) belong to real hosts."""
    own_authority: bool
    """Whether an ACME authority of its own issues the certificates, not the one that `acme` names."""
    scanner_updates: bool
    """Whether hosts reach the mirrors of ClamAV and SpamAssassin."""
    uri_list: str | None
    """The zone of the only list of domains in spam; None: the public ones."""


INTERNET = Offers(example_addresses=False, own_authority=False, scanner_updates=True, uri_list=None)
LAB = Offers(
    example_addresses=True,
    own_authority=True,
    scanner_updates=False,
    uri_list="dbl.lists.core.test",
)
