"""What every DNS provider's driver does (decision D4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mailfleet.dns.plan.zone import Plan, Zone
from mailfleet.model import Address


@dataclass(frozen=True)
class Refusal:
    """Something that a provider would not do."""

    text: str
    key: tuple[str, str] | None = None
    """Name and type of the record set that it concerns; None: nothing of the zone can be written."""

    def __str__(self) -> str:
        return self.text


class Driver(Protocol):
    """One provider, opened with its credentials for one fleet.

    Every method raises MailfleetError, with what happened and what to do, and nothing else. A
    driver keeps what it read, to write only over what the plan was made from.
    """

    label: str
    """What a user knows the provider by, e.g. "rfc2136 192.0.2.53"."""

    def read(self, zone: str) -> Zone:
        """The zone's records and which of them the fleet owns.

        Without what the provider itself maintains: SOA, the NS of the apex, DNSSEC's records, and
        the marks by which the driver knows what is owned.
        """

    def audit(self, plan: Plan) -> tuple[Refusal, ...]:
        """What the provider would refuse; called for every zone before the first write."""

    def apply(self, plan: Plan) -> None:
        """Carry the plan out, and wait until the provider has done it.

        Fails without a change where the zone is no longer as `read` saw it and the provider can
        tell. RefusedError where single changes may be what it does not take. After a run that died
        half way, reading and planning again finds the rest.
        """

    def reverse_zones(self, reverse_names: Mapping[Address, str]) -> dict[Address, str]:
        """The zone for `read` and `apply` in which each PTR record lies; without those elsewhere.

        `reverse_names` are the records' names: the address's own in the reverse tree, or what that is an
        alias of (RFC 2317). A provider that has no reverse zones, but names each address, invents
        one for all of them.
        """
