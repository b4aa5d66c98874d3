"""The API's calls for zones: one is looked up, read by pages of RRsets, and asked for one RRset."""

from __future__ import annotations

from functools import partial

from hcloud import APIException
from hcloud.zones import Zone as ApiZone
from hcloud.zones import ZoneRRSet

from mailfleet.apis.hetzner.client import Connection
from mailfleet.dns.providers.hetzner.convert import ApiRRset, ApiRRsets, from_api
from mailfleet.dns.providers.hetzner.errors import missing, secondary

_PAGE = 100


class ZoneApi:
    """The zones of one project."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def zone(self, name: str) -> ApiZone:
        client = self._connection.client

        def get() -> ApiZone | None:
            try:
                return client.zones.get(name).data_model
            except APIException as error:
                if error.code == "not_found":
                    return None
                raise

        zone = self._connection.ask(f"read {name}", get)
        if zone is None:
            raise missing(name)
        if zone.mode == ApiZone.MODE_SECONDARY:
            raise secondary(name)
        return zone

    def rrsets(self, zone: str, api: ApiZone) -> ApiRRsets:
        zones = self._connection.client.zones
        rrsets: dict[tuple[str, str], ApiRRset] = {}
        page: int | None = 1
        while page:
            get = partial(zones.get_rrset_list, api, page=page, per_page=_PAGE)
            answer = self._connection.ask(f"read {zone}", get)
            for rrset in answer.rrsets:
                if not _is_maintained(rrset.data_model):
                    entry = from_api(rrset.data_model, zone, api.ttl or 0)
                    rrsets[entry.rrset.key] = entry
            pagination = answer.meta.pagination
            page = pagination.next_page if pagination else None
        return rrsets

    def rrset(self, zone: str, api: ApiZone, name: str, rtype: str) -> ApiRRset | None:
        """One RRset as it is now; None where it is not there."""
        client = self._connection.client

        def get() -> ZoneRRSet | None:
            try:
                # The type is a Literal in the SDK.
                return client.zones.get_rrset(api, name, rtype).data_model  # type: ignore[arg-type]
            except APIException as error:
                if error.code == "not_found":
                    return None
                raise

        rrset = self._connection.ask(f"read {name} {rtype} in {zone}", get)
        return from_api(rrset, zone, api.ttl or 0) if rrset else None


def _is_maintained(rrset: ZoneRRSet) -> bool:
    """Whether Hetzner makes it itself."""
    return rrset.type == "SOA" or (rrset.type == "NS" and rrset.name == "@")
