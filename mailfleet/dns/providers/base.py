"""What every DNS provider's driver does (decision D4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.model import Address, Fleet


@dataclass(frozen=True)
class Refusal:
    """Something that a provider would not do."""

    text: str
    key: tuple[str, str] | None = None
    """Name and type of the record set that it concerns; None: nothing of the zone can be written."""

    def __str__(self) -> str:
        return self.text


Content = TypeVar("Content")


@dataclass(frozen=True)
class Snapshot(Zone, Generic[Content]):
    """A zone as it was when it was read."""

    content: Content = field(kw_only=True, repr=False, compare=False)
    """The same in the provider's own form, for its driver alone."""


class Driver(Protocol[Content]):
    """One provider, opened with its credentials for one fleet.

    Every method raises MailfleetError, with what happened and what to do, and nothing else. A
    driver remembers no zone between calls: `audit` and `apply` get the snapshot that the plan was
    made from, so zones can be read, planned and written in any order.
    """

    label: str
    """What a user knows the provider by, e.g. "rfc2136 192.0.2.53"."""

    def read(self, zone: str) -> Snapshot[Content]:
        """The zone's records and which of them the fleet owns.

        Without what the provider itself maintains: SOA, the NS of the apex, DNSSEC's records, and
        the marks by which the driver knows what is owned.
        """

    def audit(self, plan: Plan, snapshot: Snapshot[Content]) -> tuple[Refusal, ...]:
        """What the provider would refuse; called for every zone before the first write."""

    def apply(self, plan: Plan, snapshot: Snapshot[Content]) -> None:
        """Carry the plan out, and wait until the provider has done it.

        Fails without a change where the zone is no longer as in `snapshot` and the provider can
        tell. RefusedError where single changes may be what it does not take. After a run that died
        half way, reading and planning again finds the rest.
        """


@runtime_checkable
class ReverseZones(Driver[Content], Protocol[Content]):
    """A driver that also serves reverse zones, which are zones like any other."""

    def reverse_zones(self, owners: Mapping[Address, str]) -> dict[Address, str]:
        """The zone for `read` and `apply` in which each PTR record lies; without those elsewhere.

        `owners` are the records' names: the address's own in the reverse tree, or what that is an
        alias of (RFC 2317).
        """


@dataclass(frozen=True)
class PtrChange:
    """The name of one address before and after; empty: none, or the provider's default."""

    address: Address
    old: str
    new: str


class PtrDriver(Protocol):
    """A provider without reverse zones, at which each address carries its name.

    It knows addresses and names alone: what is wanted, ours, or in conflict is decided by the one
    class that plans for all such providers, `mailfleet.dns.publish.ptr.AddressNames`. Every method
    raises MailfleetError, and nothing else.
    """

    label: str
    """What a user knows the provider by, e.g. "hetzner"."""

    def read(self, addresses: Collection[Address]) -> dict[Address, str]:
        """The name of each of these addresses that the provider has; without those of others.

        Without a dot at the end; empty where the address has none, or the provider's default.
        """

    def audit(self) -> tuple[str, ...]:
        """What keeps every name from being written; called before the first write."""

    def apply(self, changes: Sequence[PtrChange]) -> None:
        """Set or reset the names, and wait until the provider has done it.

        Fails without a change where a name is no longer the change's old one.
        """


@dataclass(frozen=True)
class Provider:
    """One provider, opened with its secrets for one fleet; nothing has been sent yet."""

    zones: Driver[Any]
    ptr: PtrDriver | None = None
    """The names of addresses, where the provider keeps them apart from zones."""


class ProviderPackage(Protocol):
    """What the package of each provider has; it is called as the settings call the provider."""

    def open_provider(self, settings: Any, fleet: Fleet) -> Provider:
        """Look the secrets up, and open it. MailfleetError where one is missing or cannot be used."""

    def secrets_of(self, settings: Any) -> tuple[tuple[str, str], ...]:
        """Environment variable and purpose of each secret that `open_provider` looks up."""
