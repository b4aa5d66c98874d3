"""Whether each zone is signed, and whether resolvers can validate it (RFC 4035 §4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailfleet.dns.checks.finding import Finding
from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.query.resolver import Resolver


def state(zone: str, resolver: Resolver) -> tuple[str, bool]:
    """secure, signed (in no chain), unsigned, bogus or unknown; and whether the answer had AD."""
    try:
        soa = resolver.ask(zone, "SOA")
        signed = bool(resolver(zone, "DNSKEY"))
        chained = bool(resolver(zone, "DS"))
    except LookupFailedError:
        return ("bogus" if resolver.is_bogus(zone) else "unknown"), False
    if not signed:
        return ("bogus" if chained else "unsigned"), False
    return ("secure" if chained else "signed"), soa.authentic


def findings(
    zones: Sequence[str], resolvers: Sequence[Resolver], states: dict[str, str], notes: list[str]
) -> Iterator[Finding]:
    """What is wrong; `states` gets the state of each zone, `notes` what is worth to know."""
    for zone in zones:
        for resolver in resolvers:
            zone_state, authentic = state(zone, resolver)
            states.setdefault(zone, zone_state)
            if zone_state == "unknown":
                notes.append(f"{zone}: whether it is signed is not known at {resolver.label}")
            elif zone_state == "bogus":
                states[zone] = zone_state
                remedy = "let the DS in the zone above match a DNSKEY of the zone, or remove it"
                problem = f"{resolver.label} finds its DNSSEC signatures wrong and hides the zone"
                yield Finding(zone, problem, remedy)
            elif zone_state == "secure" and not authentic:
                notes.append(f"{zone}: signed, but {resolver.label} does not validate it (no AD)")
            elif zone_state == "signed":
                notes.append(
                    f"{zone}: signed, but no DS in the zone above says so; hand its DS to the registrar"
                )
