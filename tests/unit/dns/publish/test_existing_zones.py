"""Zones as they are found, at the stand-ins of both providers and at an octoDNS class in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mailfleet.dns.providers.cloudflare.convert import fields_of
from mailfleet.dns.providers.hetzner.convert import TYPES
from tests.existing_zones import Existing, check, fitting
from tests.fakes.cloudflare.setting import setting
from tests.fakes.hetzner.setup import ZONE, driver, running

pytestmark = pytest.mark.unit

_CLOUDFLARE = frozenset(
    {"A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "SRV", "SSHFP"}
    | {"SVCB", "TLSA", "TXT"}
)


@pytest.mark.parametrize("existing", fitting(_CLOUDFLARE, "texts with any octets"))
def test_cloudflare(existing: Existing) -> None:
    with setting(validate=False) as at:

        def add(name: str, ttl: int, rtype: str, values: Sequence[str]) -> None:
            for value in values:
                fields: dict[str, Any] = {"content": value}
                if rtype in ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"):
                    fields = fields_of(rtype, value)
                full = f"{name}.{ZONE}" if name else ZONE
                at.zone.add(rtype, full, ttl=max(ttl, 60), **fields)

        check(ZONE, existing, at.driver, add)


@pytest.mark.parametrize("existing", fitting(frozenset(TYPES)))
def test_hetzner(existing: Existing) -> None:
    with running() as fake:

        def add(name: str, ttl: int, rtype: str, values: Sequence[str]) -> None:
            # The API knows no capitals, and no TTL below a minute.
            fake.project.put(ZONE, name.lower() or "@", rtype, max(ttl, 60), *values)

        check(ZONE, existing, lambda: driver(fake), add)
