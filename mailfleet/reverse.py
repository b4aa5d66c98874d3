"""PTR records: in which of a provider's zones they lie, and which ones others have to make."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from mailfleet.model import Address
from mailfleet.providers.base import Driver
from mailfleet.records import RRset
from mailfleet.records.lookup import Lookup, LookupFailedError

# A resolver that does not answer takes seconds for each address.
_THREADS = 32

Pointers = Mapping[Address, RRset]


def by_zone(driver: Driver, pointers: Pointers) -> tuple[dict[str, list[RRset]], Pointers]:
    """The records by reverse zone, and those that lie in no zone of the provider.

    MailfleetError where the provider cannot tell of one: a zone with some of its records left out
    would lose them.
    """
    zones: dict[str, list[RRset]] = {}
    elsewhere: dict[Address, RRset] = {}
    for address, record in pointers.items():
        zone = driver.reverse_zone(address)
        if zone is None:
            elsewhere[address] = record
        else:
            zones.setdefault(zone, []).append(record)
    return zones, elsewhere


def requests(pointers: Pointers, reason: str, lookup: Lookup | None) -> list[str]:
    """What to ask the owner of each address for, unless `lookup` finds exactly that already.

    `reason` tells why we do not do it ourselves. An unanswered look-up is no proof.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        there = list(pool.map(lambda record: _is_there(record, lookup), pointers.values()))
    return [
        f"{address}: {reason}; ask the company that the address comes from for: "
        f"{record.name}. PTR {record.values[0]}"
        for (address, record), found in zip(pointers.items(), there, strict=True)
        if not found
    ]


def _is_there(record: RRset, lookup: Lookup | None) -> bool:
    try:
        return lookup is not None and tuple(lookup(record.name, "PTR")) == record.values
    except LookupFailedError:
        return False
