"""Lists of domains in spam, asked about the links in inbound mail, and whether they answer at all. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfleet.errors import MailfleetError

KEY = "spamhaus-dqs"
"""The secret with the key of Spamhaus' Data Query Service."""
_KEY = re.compile(r"[a-z0-9]{8,64}")


@dataclass(frozen=True)
class UriList:
    """A list in DNS.

    `listed` are the answers that mean so, in SpamAssassin's notation for urirhssub. `test` is a name
    that the list always lists: a resolver that it refuses, or that cannot reach it, gets no such
    answer to it. Otherwise a refusal (127.255.255.254, 127.0.0.1, NXDOMAIN, nothing) would look like
    "not listed".
    """

    name: str
    zone: str
    listed: str
    test: str
    answers: str
    """A regular expression for the addresses that the test name has."""
    score: float


def uri_lists(own: str | None = None, *, key: str | None) -> tuple[UriList, ...]:
    """The lists to ask; with `key` Spamhaus' own servers for its customers.

    `own` is the zone of the only one in a place that has none of the public ones.

    Sources: docs.spamhaus.com (return codes 127.0.1.0/24, dbltest.com), surbl.org/guidelines and
    uribl.com/about.shtml (bit masks; 1 is a refusal).
    """
    if own is not None:
        return (_dbl(own),)
    return (
        _dbl(f"{key}.dbl.dq.spamhaus.net" if key else "dbl.spamhaus.org"),
        UriList(
            "SURBL", "multi.surbl.org", "216", "surbl-org-permanent-test-point.com",
            r"^127\.0\.0\.(?!1$)", 1.9,
        ),
        UriList("URIBL", "multi.uribl.com", "2", "test.uribl.com", r"^127\.0\.0\.(?!1$)", 1.7),
    )  # fmt: skip


def checked_key(text: str, variable: str) -> str:
    """The key, which becomes part of a name; MailfleetError where it cannot be one."""
    if not _KEY.fullmatch(text):
        raise MailfleetError(
            f"{variable} is no key of Spamhaus' Data Query Service",
            "copy it from Spamhaus' portal: small letters and digits only",
        )
    return text


def _dbl(zone: str) -> UriList:
    # From 127.0.1.100 on are abused domains of honest owners; 127.255.255.x are refusals.
    listed = "127.0.1.2-127.0.1.99"
    return UriList("DBL", zone, listed, "dbltest.com", r"^127\.0\.1\.", 2.5)
