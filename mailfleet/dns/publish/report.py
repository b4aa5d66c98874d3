"""A publication, and what became of it, as one JSON document."""

from __future__ import annotations

from typing import Any

from mailfleet.dns.plan import render
from mailfleet.dns.publish.apply import ZoneOutcome
from mailfleet.dns.publish.plan import Publication


def as_json(
    publication: Publication, outcome: tuple[ZoneOutcome, ...] | None = None
) -> dict[str, Any]:
    """Plain values; `outcome` is None while nothing was pushed, empty where nothing could be."""
    done = {"done", "unchanged"}
    pushed = outcome is not None and bool(outcome) and all(z.state in done for z in outcome)
    return {
        "zones": [
            {
                "provider": entry.driver.label,
                **render.as_json(entry.plan),
                "by_hand": entry.by_hand,
                "unknown": entry.unknown,
                "zone_file": list(render.zone_lines(entry.plan)) if entry.by_hand else [],
                "problems": list(entry.problems),
            }
            for entry in publication.zones
        ],
        "pending": not publication.is_empty and not pushed,
        "pushed": pushed,
        "outcome": [_zone(zone) for zone in outcome or ()],
        "problems": list(publication.problems),
        "unknown": list(publication.unknown),
        "notes": list(publication.notes),
    }


def _zone(zone: ZoneOutcome) -> dict[str, Any]:
    missing = zone.missing
    return {
        "zone": zone.zone,
        "provider": zone.label,
        "state": zone.state,
        "problem": zone.problem,
        "applied": [render.change_as_json(change) for change in zone.applied],
        "missing": None
        if missing is None
        else [render.change_as_json(change) for change in missing],
    }
