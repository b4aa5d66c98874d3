"""One operation for all units of a host: enabled, running, and told of every changed file."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from itertools import groupby

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.services import MANAGED, PENDING, Services, ServicesState
from mailfleet.hoststate import Action, Service

# Units that failed, or were started often of late, refuse another start until they are reset. And
# systemctl only says that it failed; the unit's own last words say why.
_SYSTEMCTL = (
    "{{ systemctl reset-failed {units} 2>/dev/null; systemctl {verb} {units} || {{ for unit in {units}; "
    'do journalctl -q -n 12 -o cat --no-pager -u "$unit" >&2; done; false; }}; }}'
)
# A unit whose file was ours is gone from the disk by now: systemd still runs it, and the link that
# would start it at boot stays behind.
_END = (
    "systemctl disable --quiet --now {unit} 2>/dev/null || {{ "
    "systemctl stop {unit} 2>/dev/null; rm -f /etc/systemd/system/*.wants/{unit}; "
    "! systemctl is-active --quiet {unit}; }}"
)

# A unit that failed before would stay in the list of failed units, and the host degraded.
_MASK = (
    "systemctl mask --quiet {units} && systemctl stop {units} && "
    "{{ systemctl reset-failed {units} 2>/dev/null || true; }}"
)


@operation()
def converge(
    services: tuple[Service, ...],
    actions: tuple[Action, ...] = (),
    masked: tuple[str, ...] = (),
) -> Generator[StringCommand, None, None]:
    """Run pending actions, mask `masked`, then bring each unit into its state, in the given order.

    A unit or action stays pending until its own command has succeeded: what a broken connection
    left undone, the next run does.
    """
    units = (*(service.unit for service in services), *masked)
    state: ServicesState = host.get_fact(Services, units=units)
    commands = list(steps(services, actions, state, masked))
    if not commands:
        host.noop("all services are as they should be")
    yield from commands


def steps(
    services: tuple[Service, ...],
    actions: tuple[Action, ...],
    state: ServicesState,
    masked: tuple[str, ...] = (),
) -> Generator[StringCommand, None, None]:
    """The commands that lead from `state` to the desired one; none when it is reached."""
    for action in actions:
        if action.name in state.pending:
            yield _told(f"{{ {action.command}; }}", action.name)
    gone = sorted(state.managed - {service.unit for service in services})
    for unit in gone:
        yield StringCommand(_END.format(unit=shlex.quote(unit)))
    if unwanted := [unit for unit in masked if unit not in state.masked]:
        yield StringCommand(_MASK.format(units=shlex.join(unwanted)))
    wanted = sorted(service.unit for service in services)
    if unmasked := [unit for unit in wanted if unit in state.masked]:
        yield StringCommand("systemctl", "unmask", "--quiet", *map(QuoteString, unmasked))
    disabled = [service.unit for service in services if service.unit not in state.enabled]
    if disabled:
        yield StringCommand("systemctl", "enable", "--quiet", *map(QuoteString, disabled))
    # A template's instances need not wait for each other: three Postfix instances take a second each.
    alike = groupby(services, lambda service: (_verb(service, state), _template(service.unit)))
    for (verb, _), group in alike:
        if verb:
            units = [service.unit for service in group]
            yield _told(_SYSTEMCTL.format(verb=verb, units=shlex.join(units)), *units)
    if gone or set(wanted) != state.managed:
        yield StringCommand("printf", QuoteString("%s\\n"), *map(QuoteString, wanted), ">", MANAGED)


def _verb(service: Service, state: ServicesState) -> str:
    if not service.runs:
        return ""
    if service.unit in state.waiting:
        # Not "start", which would wait until systemd's own next attempt.
        return "restart"
    if service.unit not in state.active:
        return "start"
    if service.unit not in state.pending:
        return ""
    # An action may have stopped it, to be started with what it reads only then.
    return "reload-or-restart" if service.on_change == "reload" else "restart"


def _template(unit: str) -> str:
    return unit.removesuffix(".service").partition("@")[0]


def _told(command: str, *names: str) -> StringCommand:
    """`command`, and only if it succeeds the removal of the marks."""
    marks = (QuoteString(f"{PENDING}/{name}") for name in names)
    return StringCommand(command, "&&", "rm", "-f", *marks)
