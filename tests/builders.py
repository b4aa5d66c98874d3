"""Fleets for tests: what an inventory and domain files with this content declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailfleet.model import Fleet, HostEntry, build_fleet

INVENTORY = "inventories/prod"
ONE_STREAM: dict[str, Any] = {"streams": {"orders": {"logins": ["shop"]}}}
"""A domain file with nothing but a stream."""
_REGIONS = ("eu", "us")


def fleet_of(
    hosts: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    regions: Mapping[str, str] | None = None,
    **options: Any,
) -> Fleet:
    """The fleet of these hosts, by name, and domain files, by domain; none: shop.example with ONE_STREAM.

    A host is in the region that its name says (mta1.us.shop.example), else in eu; `regions` overrules
    that. `options` are those of `declare`. ConfigurationError as for a user.
    """
    contents = tables or {"shop.example": ONE_STREAM}
    entries = [
        HostEntry((regions or {}).get(name) or _region(name), name, data)
        for name, data in hosts.items()
    ]
    files = {name: (f"dns/{name}.toml", dict(table)) for name, table in contents.items()}
    return build_fleet(INVENTORY, entries, {"domains": list(contents), **options}, files, [])


def fleet_around(
    name: str, data: Mapping[str, Any], domain: Mapping[str, Any], **options: Any
) -> Fleet:
    """The fleet of a host under test and another one in us, with the streams `orders` and `news`."""
    own = data.get("addresses") or next(iter(data["streams"].values()))
    # Hosts that serve one stream have an IP version in common.
    near = "2001:db8::9" if all(":" in address for address in own) else "192.0.2.9"
    other = {"streams": {"orders": [f"{near}1"], "news": [f"{near}2"]}}
    hosts = {name: data, "mta9.us.shop.example": other}
    return fleet_of(hosts, {"shop.example": domain}, **options)


def _region(name: str) -> str:
    label = name.split(".")[1]
    return label if label in _REGIONS else "eu"
