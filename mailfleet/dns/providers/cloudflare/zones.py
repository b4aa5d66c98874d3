"""Finding zones by name, with as few requests as there are zones or pages of them."""

from __future__ import annotations

from mailfleet.dns.providers.cloudflare.api import Calls, ZoneInfo
from mailfleet.dns.providers.cloudflare.errors import SECRET
from mailfleet.dns.rrset import enclosing, u_labels
from mailfleet.errors import MailfleetError
from mailfleet.secrets import variable

_EDIT = "#dns_records:edit"


class Zones:
    """The zones of an account, looked up once each."""

    def __init__(self, calls: Calls, expected: int) -> None:
        """`expected` is how many the fleet will ask for: one is asked for by name, and of a list
        not more pages are read than there would be requests by name.
        """
        self._calls = calls
        self._expected = expected
        self._zones: dict[str, list[ZoneInfo]] = {}
        self._listed = self._complete = False
        self._reverse: frozenset[str] | None = None

    def get(self, name: str) -> ZoneInfo:
        """The zone of that name. MailfleetError where the token cannot see it."""
        if not self._listed and self._expected > 1:
            self._list()
        if name not in self._zones and not self._complete:
            self._zones[name] = self._by_name(name)
        return _zone_named(name, self._zones.get(name, []))

    def enclosing(self, name: str) -> str | None:
        """The reverse zone in which a name of in-addr.arpa or ip6.arpa lies."""
        if self._reverse is None:
            self._reverse = frozenset(zone.name for zone in self._reverse_zones())
        return enclosing(name, self._reverse)

    def _by_name(self, name: str) -> list[ZoneInfo]:
        zones, _ = self._calls.zones(name=name)
        # The API shows the U-labels of a name, and may know it by them alone.
        if not zones and (shown := u_labels(name)) != name:
            zones, _ = self._calls.zones(name=shown)
        return [zone for zone in zones if zone.name == name]

    def _list(self) -> None:
        self._listed = True
        page, pages = 1, 1
        while page <= pages:
            zones, pages = self._calls.zones(page)
            for zone in zones:
                self._zones.setdefault(zone.name, []).append(zone)
            if page == 1 and pages > self._expected:
                # A zone of the same name in another account could stand on the next page.
                del self._zones[zones[-1].name]
                return
            page += 1
        self._complete = True

    def _reverse_zones(self) -> list[ZoneInfo]:
        if self._complete:
            every = [zone for same in self._zones.values() for zone in same]
            return [zone for zone in every if zone.name.endswith(".arpa")]
        zones, pages = self._calls.zones(name="ends_with:.arpa")
        for page in range(2, pages + 1):
            zones += self._calls.zones(page, name="ends_with:.arpa")[0]
        return zones


def problems_of(zone: ZoneInfo) -> tuple[str, ...]:
    """Why a zone cannot, or must not, be written."""
    problems = []
    if zone.type == "secondary":
        problems.append(
            "it is a secondary zone at Cloudflare; publish at its primary server instead"
        )
    elif zone.type != "full":
        problems.append(
            f"it is a {zone.type} zone at Cloudflare, which public DNS does not ask for mail "
            "records; publish where its name servers are, or convert it to a full zone"
        )
    if zone.status == "moved":
        problems.append(
            "its name servers are no longer Cloudflare's; delegate it to them again, or name "
            "the provider that serves it in [dns]"
        )
    if zone.paused:
        problems.append("it is paused at Cloudflare; resume it there (Overview, Advanced Actions)")
    # Where Cloudflare lists no permissions, the first write will tell.
    if zone.permissions and _EDIT not in zone.permissions:
        problems.append(
            f"the token in {variable(SECRET)} may read, but not change it; "
            "give it the permission DNS:Edit for this zone"
        )
    return tuple(problems)


def _zone_named(name: str, zones: list[ZoneInfo]) -> ZoneInfo:
    if not zones:
        problem = f"Cloudflare shows no zone {name} to the token in {variable(SECRET)}"
        hint = (
            "add the zone at Cloudflare, include it in the token's zone resources (Zone:Read and "
            "DNS:Edit), or set zone in [dns] to the zone that holds the name"
        )
        raise MailfleetError(problem, hint)
    active = [zone for zone in zones if zone.status == "active"]
    if len(zones) > 1 and len(active) != 1:
        problem = f"Cloudflare shows {len(zones)} zones {name} to the token in {variable(SECRET)}"
        raise MailfleetError(problem, "limit the token to the account whose zone is meant")
    return active[0] if active else zones[0]
