"""What a name server would refuse of a plan, found before the first write."""

from __future__ import annotations

from collections.abc import Iterator

from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal

# A message over TCP holds 65,535 octets (RFC 1035 §4.2.2), and an RRset is sent in one.
_MOST_CHARACTERS = 50_000


def refusals(plan: Plan) -> Iterator[Refusal]:
    """Records outside of the zone, and RRsets that no DNS message can hold."""
    for change in plan.changes:
        name, rtype = change.key
        if name != plan.zone and not name.endswith(f".{plan.zone}"):
            yield Refusal(f"{name} {rtype} lies outside of the zone {plan.zone}", change.key)
        elif change.new and sum(map(len, change.new.values)) > _MOST_CHARACTERS:
            yield Refusal(f"{name} {rtype} is too large for a DNS message", change.key)
