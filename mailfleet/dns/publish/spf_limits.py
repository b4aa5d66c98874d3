"""Whether receivers can read the SPF records that a fleet is about to publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailfleet.dns.lookup import Lookup, LookupFailedError, with_own
from mailfleet.dns.records.desired import Desired
from mailfleet.dns.records.spf import senders
from mailfleet.dns.spf import budget
from mailfleet.model import Fleet


def spf_limit_problems(
    fleet: Fleet, desired: Desired, lookup: Lookup, in_scope: Callable[[str], bool]
) -> Iterator[tuple[str, str, bool]]:
    """Name, text, and whether it must not be published, for each record that costs too much.

    The foreign includes are counted as they are now; one that cannot be looked up is only told.
    """
    own = {record.key: record.values for zone in desired.values() for record in zone}
    ask = with_own(own, lookup)
    for name in senders(fleet):
        domain = fleet.domain_of(name)
        if domain is None or not in_scope(name):
            continue
        try:
            tree = budget.tree(name, ask)
        except LookupFailedError as error:
            yield name, f"SPF of {name}: look-ups not counted, {error.problem}", False
            continue
        if problems := budget.problems(tree):
            drawn = "\n".join(f"    {line}" for line in budget.drawn(tree))
            remedy = (
                f"every receiver would answer permerror; shorten includes in [spf] of {domain.name}"
            )
            yield name, f"SPF of {name} {'; '.join(problems)}. {remedy}\n{drawn}", True
