"""Publishing DNS in a pyinfra run: one operation, in which one host speaks for the fleet."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from gevent.pool import Pool
from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.deploy import deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import get_fact
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.api.state import State
from pyinfra.context import ctx_host, host, state

from mailfleet.dns.plan.render import lines, zone_lines
from mailfleet.dns.publish.by_hand import answers_of
from mailfleet.dns.publish.prepare import Publication, prepare, publish
from mailfleet.dns.query.resolver import resolver_of
from mailfleet.dns.records.dane import certificates_of
from mailfleet.dns.records.dkim import keys_of
from mailfleet.errors import MailfleetError
from mailfleet.facts.public_keys import HostPublicKeys, PublicKeys
from mailfleet.model.names import domain_name
from mailfleet.project import inventory

_AT_ONCE = 100


@deploy("Publish DNS")
def push_dns() -> None:
    """Read every connected host's public keys, plan, and push what differs.

    The DKIM and TLSA records of hosts that take no part in the run stay as they are.
    """
    dns_records(name="Publish the fleet's DNS records")


@operation()
def dns_records() -> Generator[FunctionCommand, None, None]:
    """Bring the fleet's zones to what the model and the hosts' keys say.

    It runs on every host, and all but one have nothing to do: with `_run_once` pyinfra takes the
    first host whose preparation ends, several when preparing waits for the network as it does here,
    and nobody where that host fails before.
    """
    active = state.inventory.get_active_hosts()
    if host.name != min(active_host.name for active_host in active):
        return
    try:
        fleet = inventory.current()
        keys = _read_keys(state, active)
        resolver = resolver_of(fleet)
        publication = prepare(
            fleet,
            {name: keys_of(host_keys["dkim"]) for name, host_keys in keys.items()},
            lookup=resolver,
            certificates=certificates_of(keys),
            answers=answers_of(resolver),
        )
        for line in _report(publication):
            logger.info(line)
        publication.refuse()
    except MailfleetError as error:
        # While pyinfra prepares, this ends the run with the text; while it executes, an exception
        # would be printed with its traceback.
        if not state.is_executing:
            raise PyinfraError(str(error)) from None
        yield FunctionCommand(_fail, [str(error)], {})
        return
    if not publication.is_empty or publication.problems:
        yield FunctionCommand(_publish, [publication], {})


# pyinfra hands state and host to a function that names them, and only then takes False as failure.
def _publish(state: State, host: Host, publication: Publication) -> bool:
    try:
        publish(publication, logger.info)
    except MailfleetError as error:
        return _fail(state, host, str(error))
    return True


def _fail(state: State, host: Host, text: str) -> bool:  # noqa: ARG001
    logger.error(text)
    return False


def _read_keys(run: Any, hosts: list[Host]) -> dict[str, HostPublicKeys]:
    """All hosts' keys at once; a pool of our own, since pyinfra's has a place for each host only."""

    def read(target: Host) -> HostPublicKeys:
        with ctx_host.use(target):
            keys: HostPublicKeys = get_fact(run, target, PublicKeys, apply_failed_hosts=False)
            return keys

    names = [domain_name(target.name.rpartition("/")[2]) for target in hosts]
    return dict(zip(names, Pool(_AT_ONCE).map(read, hosts), strict=True))


def _report(publication: Publication) -> list[str]:
    text = [f"note: {note}" for note in publication.notes]
    for entry in publication.zones:
        text.append(entry.title)
        shown = zone_lines(entry.plan) if entry.by_hand else lines(entry.plan)
        text += [f"  {line}" for line in shown]
    text += [f"note: {unknown}" for unknown in publication.unknown]
    return [*text, *(f"problem: {problem}" for problem in publication.problems)]
