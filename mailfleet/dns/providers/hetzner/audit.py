"""What Hetzner would refuse, found before the first write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailfleet.dns.plan.change import Change
from mailfleet.dns.plan.ownership import Owned
from mailfleet.dns.plan.zone import Plan
from mailfleet.dns.providers.base import Refusal
from mailfleet.dns.providers.hetzner.convert import TYPES, ApiRRsets, Mark
from mailfleet.dns.providers.hetzner.writes import MOST_RECORDS, writes

_TTL = range(60, 2147483648)
# What stands in a URL as it is, and what host names and service names need.
_NAME = re.compile(r"[a-z0-9_.*-]+")


def refusals(plan: Plan, rrsets: ApiRRsets, mark: Mark) -> Iterator[Refusal]:
    """Changes that the API cannot carry out."""
    for change in plan.changes:
        for text in _refused(plan, change, rrsets, mark):
            yield Refusal(text, change.key)


def _refused(plan: Plan, change: Change, rrsets: ApiRRsets, mark: Mark) -> Iterator[str]:
    name, rtype = change.key
    what = f"{name} {rtype}"
    now = rrsets.get(change.key)
    if name != plan.zone and not name.endswith(f".{plan.zone}"):
        yield f"{what} lies outside of the zone {plan.zone}"
    elif rtype not in TYPES:
        yield f"{what}: Hetzner has no records of this type; it has {', '.join(sorted(TYPES))}"
    elif not _NAME.fullmatch(name):
        yield f"{what} holds characters that the Hetzner API does not take"
    elif now is not None and now.protected:
        yield f"{what} is protected against changes; remove the protection in the console"
    else:
        yield from _limits(plan.zone, change, rrsets, plan.owned_after, mark)


def _limits(
    zone: str, change: Change, rrsets: ApiRRsets, owned: Owned, mark: Mark
) -> Iterator[str]:
    new = change.new
    if new and new.ttl not in _TTL:
        yield f"{new.name} {new.type}: Hetzner takes TTLs from {_TTL.start} s, not {new.ttl} s"
    for write in writes(zone, change, rrsets.get(change.key), owned, mark):
        if len(write.records) > MOST_RECORDS:
            yield f"{write} would need {len(write.records)} values, and Hetzner takes {MOST_RECORDS}"
