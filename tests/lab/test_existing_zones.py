"""Zones as they are found, at a real Knot and a real BIND, through both drivers that reach them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.existing_zones import Add, Existing, check, fitting
from tests.lab.test_octodns import opened
from tests.lab.test_rfc2136 import Server, server

__all__ = ["server"]

pytestmark = pytest.mark.lab

ZONE = "example.test"
_TYPES = frozenset(
    {"A", "AAAA", "CAA", "CNAME", "DNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "SRV"}
    | {"SSHFP", "SVCB", "TLSA", "TXT", "TYPE65280"}
)


@pytest.mark.parametrize("existing", fitting(_TYPES))
def test_rfc2136(server: Server, existing: Existing) -> None:
    check(ZONE, existing, server.driver, _adding(server))


# octoDNS's class for RFC 2136 reads no DNAME, and the server refuses what stands below one.
@pytest.mark.parametrize("existing", fitting(_TYPES - {"DNAME"}))
def test_octodns(server: Server, existing: Existing) -> None:
    check(ZONE, existing, lambda: opened(server), _adding(server))


def _adding(server: Server) -> Add:
    def add(name: str, ttl: int, rtype: str, values: Sequence[str]) -> None:
        server.add(f"{name}.{ZONE}." if name else f"{ZONE}.", ttl, rtype, *values)

    return add
