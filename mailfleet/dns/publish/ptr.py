"""PTR records at providers without reverse zones: each address carries its name.

One class plans for all of them: it shows the fleet's addresses as record sets, so that conflicts,
adoption, read-back and output are those of any zone, and hands addresses and names to the provider.
It holds the fleet's addresses only, and no name that the provider gave by default. A name below one
of the fleet's domains counts as ours, since both the address and the name are; any other was set by
somebody, and is a conflict until it is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Slot
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import PtrChange, PtrDriver, Refusal, Snapshot
from mailfleet.dns.records.ptr import PtrRecord
from mailfleet.dns.rrset import RRset, rrset
from mailfleet.model import Address

TITLE = "PTR records"
"""What stands in the place of a zone's name."""

Names = Mapping[Address, str]


class AddressNames:
    """The fleet's addresses at one provider; see `mailfleet.dns.providers.base.Driver`."""

    def __init__(
        self, driver: PtrDriver, wanted: Collection[PtrRecord], is_ours: Callable[[str], bool]
    ) -> None:
        """`is_ours` tells whether a name lies in one of the fleet's domains."""
        self.label = driver.label
        self._driver = driver
        self._wanted = {record.address: record for record in wanted}
        self._by_owner = {record.owner: record.address for record in wanted}
        self._is_ours = is_ours

    def read(self, zone: str = TITLE) -> Snapshot[Names]:
        """The names as they are now, as PTR records."""
        names = self._driver.read(self._wanted)
        records = tuple(
            # There is no TTL to read or set: the wanted one is no difference.
            rrset(self._wanted[address].owner, "PTR", self._wanted[address].ttl, f"{name}.")
            for address, name in names.items()
            if name
        )
        ours = (r for r in records if all(self._is_ours(v.rstrip(".")) for v in r.values))
        owned = {Slot(r.name, r.type): frozenset(r.values) for r in ours}
        return Snapshot(zone, records, owned, content=names)

    def audit(self, plan: Plan, snapshot: Snapshot[Names]) -> tuple[Refusal, ...]:  # noqa: ARG002
        """Several names for one address, and what the provider itself says."""
        several = (
            Refusal(
                f"{c.key[0]} PTR has {len(c.new.values)} names, and {self.label} holds one", c.key
            )
            for c in plan.changes
            if c.new is not None and len(c.new.values) != 1
        )
        return (*several, *(() if plan.is_empty else map(Refusal, self._driver.audit())))

    def apply(self, plan: Plan, snapshot: Snapshot[Names]) -> None:  # noqa: ARG002
        """Set or reset the names; nothing, where one is no longer as it was planned for."""
        self._driver.apply([self._change(change) for change in plan.changes])

    def _change(self, change: Change) -> PtrChange:
        return PtrChange(self._by_owner[change.key[0]], _name(change.old), _name(change.new))


def _name(record: RRset | None) -> str:
    return record.values[0].rstrip(".") if record else ""
