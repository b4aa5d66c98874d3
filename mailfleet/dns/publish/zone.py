"""Planning one zone at its provider: what is refused there waits, or is left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from mailfleet.dns.lookup import Lookup
from mailfleet.dns.plan.mail_servers import mx_without_address
from mailfleet.dns.plan.needs import Key
from mailfleet.dns.plan.zone import Plan, held, plan
from mailfleet.dns.providers.base import Content, Driver, Refusal, Snapshot
from mailfleet.dns.publish.plan import ZonePlan
from mailfleet.dns.rrset import RRset

Keep = Callable[[str], bool]
"""Whether records of this name stay, though nothing says that they are still wanted."""


@dataclass(frozen=True)
class Wishes:
    """What a user, and whoever is asked, say about every zone."""

    adopt: Collection[str] = ()
    """Patterns NAME/TYPE of foreign records that become ours."""
    lookup: Lookup | None = None
    """Where names lead that something foreign answers for."""


def planned(
    driver: Driver[Content],
    snapshot: Snapshot[Content],
    wanted: Sequence[RRset],
    keep: Keep,
    wishes: Wishes,
) -> tuple[ZonePlan, list[str]]:
    """The plan of a zone that was read, without what its provider refuses; and notes on that."""
    complete = plan(snapshot, wanted, keep=keep, adopt=wishes.adopt, lookup=wishes.lookup)
    refused = driver.audit(complete, snapshot)
    stops = tuple(refusal.text for refusal in refused if refusal.key is None)
    accepted, notes = _accepted(complete, refused)
    accepted = held(accepted, mx_without_address(snapshot, wanted))
    keys = frozenset(record.key for record in wanted)
    return ZonePlan(driver, accepted, snapshot, stops, keys), notes


def _accepted(complete: Plan, refused: Iterable[Refusal]) -> tuple[Plan, list[str]]:
    """The plan without the record sets that the provider would not take.

    A provider that takes no TLSA records gets none: without them mail is less protected, but
    nothing is wrong. Not where an old one would stay: senders that believe it keep their mail.
    """
    new = {change.key for change in complete.changes if change.old is None}
    reasons: dict[Key, list[str]] = {}
    for refusal in refused:
        if refusal.key is not None:
            reasons.setdefault(refusal.key, []).append(refusal.text)
    left_out = {key: texts for key, texts in reasons.items() if key[1] == "TLSA" and key in new}
    less = replace(held(complete, dict.fromkeys(left_out, "")), held=complete.held)
    notes = [
        f"{complete.zone}: left out, so senders have no DANE: {text}"
        for _, texts in sorted(left_out.items())
        for text in texts
    ]
    waiting = {key: "; ".join(texts) for key, texts in reasons.items() if key not in left_out}
    return held(less, waiting), notes
