"""PTR records: at which name and in which zone they lie, and which ones others have to make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mailfleet.dns.lookup import Lookup, LookupFailedError
from mailfleet.dns.providers.base import Driver, ReverseZones
from mailfleet.dns.records.ptr import PtrRecord
from mailfleet.dns.rrset import RRset
from mailfleet.model import Address, Fleet, ProviderSettings
from mailfleet.model.addresses import is_documentation

# A resolver that does not answer takes seconds for each address.
_THREADS = 32
# Aliases that lead to each other end somewhere.
_MOST_ALIASES = 8

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")

PtrRecords = Mapping[Address, PtrRecord]


def by_provider(fleet: Fleet, ptr_records: PtrRecords) -> dict[ProviderSettings | None, PtrRecords]:
    """The records by who serves the address, None for those of nobody that we could ask."""
    serving = {a: host.reverse_dns for host in fleet.hosts for a in host.all_addresses}
    groups: dict[ProviderSettings | None, dict[Address, PtrRecord]] = {}
    for address, record in ptr_records.items():
        groups.setdefault(serving[address], {})[address] = record
    return dict(groups)


@dataclass(frozen=True)
class Located:
    """PTR records at the names that answer for their addresses."""

    ptr_records: PtrRecords
    """An address whose name is an alias has its record where that leads (RFC 2317)."""
    unknown: Mapping[Address, str] = field(default_factory=dict)
    """The addresses of which that could not be found out, and why."""


def real(fleet: Fleet, ptr_records: PtrRecords) -> frozenset[Address]:
    """The addresses that DNS can be asked about: not those that are reserved for documentation.

    In a lab they are real.
    """
    return frozenset(
        a for a in ptr_records if fleet.offers.example_addresses or not is_documentation(a)
    )


def located(ptr_records: PtrRecords, known: Collection[Address], lookup: Lookup | None) -> Located:
    """Follow the aliases of the addresses that are in `known`, all asked side by side."""
    asked = {a: record.owner for a, record in ptr_records.items() if lookup and a in known}
    records = dict(ptr_records)
    unknown: dict[Address, str] = {}
    answers = _side_by_side(lambda name: _end(name, lookup), asked.values())
    for address, answer in zip(asked, answers, strict=True):
        if isinstance(answer, LookupFailedError):
            unknown[address] = answer.problem
        else:
            records[address] = replace(ptr_records[address], owner=answer)
    return Located(records, unknown)


def by_zone(
    driver: Driver[Any], ptr_records: PtrRecords
) -> tuple[dict[str, list[RRset]], PtrRecords]:
    """The records by reverse zone, and those that lie in no zone of the provider.

    MailfleetError where the provider cannot tell: a zone with some of its records left out would
    lose them.
    """
    owners = {a: record.owner for a, record in ptr_records.items()}
    zones = driver.reverse_zones(owners) if isinstance(driver, ReverseZones) else {}
    rrsets: dict[str, list[RRset]] = {}
    for address, zone in zones.items():
        rrsets.setdefault(zone, []).append(ptr_records[address].rrset)
    return rrsets, {a: record for a, record in ptr_records.items() if a not in zones}


def requests(
    ptr_records: PtrRecords, reason: str, known: Collection[Address], lookup: Lookup | None
) -> list[str]:
    """What to ask the owners of the addresses for, unless `lookup` finds exactly that already.

    `reason` tells why we do not do it ourselves. What could not be looked up is told apart.
    """
    asked = {a: record for a, record in ptr_records.items() if lookup and a in known}
    answers = _side_by_side(lambda record: _answer(record, lookup), asked.values())
    answered = dict(zip(asked, answers, strict=True))
    missing: list[str] = []
    unknown: dict[str, str] = {}
    for address, record in ptr_records.items():
        answer = answered.get(address, ())
        if isinstance(answer, LookupFailedError):
            unknown[str(address)] = answer.problem
        elif tuple(answer) != (f"{record.name}.",):
            missing.append(f"{address}: {record.owner}. PTR {record.name}.")
    notes = []
    if missing:
        wanted = "\n".join(f"  {entry}" for entry in missing)
        notes.append(
            f"{reason}; ask the company that the addresses come from for these PTR records:\n{wanted}"
        )
    if unknown:
        notes.append(
            f"{reason}, and whether the PTR records of {listed(list(unknown))} are there is not "
            f"known: {next(iter(unknown.values()))}"
        )
    return notes


def listed(names: list[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _side_by_side(ask: Callable[[_Asked], _Answer], questions: Iterable[_Asked]) -> list[_Answer]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(ask, questions))


def _end(name: str, lookup: Lookup | None) -> str | LookupFailedError:
    """Where the aliases that begin at `name` end."""
    assert lookup is not None
    try:
        for _ in range(_MOST_ALIASES):
            target = lookup(name, "CNAME")
            if not target:
                break
            name = target[0].rstrip(".")
    except LookupFailedError as error:
        return error
    return name


def _answer(record: PtrRecord, lookup: Lookup | None) -> tuple[str, ...] | LookupFailedError:
    assert lookup is not None
    try:
        return tuple(lookup(record.owner, "PTR"))
    except LookupFailedError as error:
        return error
