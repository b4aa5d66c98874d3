"""Sending the writes of one zone, each one until it is accepted or done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hcloud import APIException
from hcloud.actions import BoundAction
from hcloud.zones import Zone, ZoneRRSet
from requests import RequestException

from mailfleet.apis.hetzner.actions import Actions
from mailfleet.apis.hetzner.client import Connection
from mailfleet.apis.hetzner.errors import Error, outcome_of
from mailfleet.apis.retry import Outcome
from mailfleet.dns.providers.hetzner.convert import ApiRRset
from mailfleet.dns.providers.hetzner.errors import changed
from mailfleet.dns.providers.hetzner.writes import Write

# A look at the RRset would tell nothing new.
_FINAL = ("unauthorized", "token_readonly", "forbidden", "protected", "incorrect_zone_mode")


class Sender:
    """Writes to one zone. `look` reads an RRset by its relative name and its type."""

    def __init__(
        self,
        connection: Connection,
        zone: Zone,
        look: Callable[[str, str], ApiRRset | None],
    ) -> None:
        self._connection = connection
        self._zone = zone
        self._look = look
        self.actions = Actions(connection, str(zone.name))

    def send(self, write: Write) -> None:
        """Have one write accepted; it is done after `actions.wait()`."""
        if write.verb == "set":
            # It writes the whole RRset, and phases may have taken minutes since that was read.
            self._unchanged(write, self._look(write.name, write.rrset.type))
        self._connection.ask(f"change {write} in {self._zone.name}", lambda: self._try(write))

    def _try(self, write: Write) -> None:
        try:
            action = self._request(write)
        except (APIException, RequestException) as error:
            if self._already(write, error):
                return
            raise
        if action is not None:
            self.actions.add(action, str(write))

    def _already(self, write: Write, error: Error) -> bool:
        """Whether a request that failed has done its work all the same, perhaps at an earlier try.

        MailfleetError where somebody else has changed the RRset: to repeat could overwrite that.
        """
        match outcome_of(error):
            case Outcome.LIMITED:
                return False
            case Outcome.BUSY if self.actions:
                # What is going on there is most likely our own previous write.
                self.actions.wait()
        if isinstance(error, APIException) and error.code in _FINAL:
            return False
        now = self._look(write.name, write.rrset.type)
        if write.done(now):
            self._adopt_running(write)
            return True
        if outcome_of(error) is not Outcome.REFUSED or _contradicts(error):
            self._unchanged(write, now)
        return False

    def _unchanged(self, write: Write, now: ApiRRset | None) -> None:
        if write.verb in ("ttl", "label", "comment"):
            return
        if (now.rrset if now else None) != write.before:
            raise changed(str(self._zone.name), str(write))

    def _adopt_running(self, write: Write) -> None:
        """Wait for the action whose number got lost with its answer."""
        zones = self._connection.client.zones
        actions = self._connection.ask(
            f"follow the changes to {self._zone.name}",
            lambda: zones.get_actions_list(self._zone, status=["running"], per_page=50).actions,
        )
        for action in actions:
            self.actions.add(action, str(write))

    def _request(self, write: Write) -> BoundAction | None:
        zones = self._connection.client.zones
        rtype = cast(Any, write.rrset.type)
        target = ZoneRRSet(name=write.name, type=rtype, zone=self._zone)
        records = [record.to_api() for record in write.records]
        match write.verb:
            case "create":
                return zones.create_rrset(
                    self._zone,
                    name=write.name,
                    type=rtype,
                    ttl=write.rrset.ttl,
                    labels=dict(write.labels) or None,
                    records=records,
                ).action
            case "set":
                return zones.set_rrset_records(target, records)
            case "add":
                return zones.add_rrset_records(target, records)
            case "remove":
                return zones.remove_rrset_records(target, records)
            case "comment":
                return zones.update_rrset_records(target, records)
            case "ttl":
                return zones.change_rrset_ttl(target, write.rrset.ttl)
            case "label":
                zones.update_rrset(target, labels=dict(write.labels))
                return None


def _contradicts(error: Error) -> bool:
    """Whether the API says that the RRset is not as the request expects it."""
    return isinstance(error, APIException) and error.code in ("uniqueness_error", "not_found")
