"""One operation for all units of a host: enabled, running, and told of every changed file."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterable
from itertools import groupby

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.services import MANAGED, PENDING, Services, ServicesState
from mailfleet.host.state import Action, Service
from mailfleet.operations.files import FILES, FINISH, GO_LIVE

# Units that failed, or were started often of late, refuse another start until they are reset. And
# systemctl only says that it failed; the unit's own last words say why. After a reload that failed, a
# unit may be active all the same.
_SYSTEMCTL = (
    "{{ systemctl reset-failed {units} 2>/dev/null; systemctl {verb} {units} || {{ for unit in {units}; "
    'do {unless}journalctl -q -n 12 -o cat --no-pager -u "$unit" >&2; done; false; }}; }}'
)
_IS_UP = 'systemctl is-active --quiet "$unit" || '
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

    Where files wait, they go live once what the late services ask is up. Units of earlier deploys end
    last, when nobody asks them any more.

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
    files_wait = FILES in state.pending
    due = [action for action in actions if action.name in state.pending]
    yield from _run(action for action in due if not (action.late and files_wait))
    gone = sorted(state.managed - {service.unit for service in services})
    unwanted = [unit for unit in masked if unit not in state.masked]
    yield from _masked([unit for unit in unwanted if unit not in gone])
    wanted = sorted(service.unit for service in services)
    if unmasked := [unit for unit in wanted if unit in state.masked]:
        yield StringCommand("systemctl", "unmask", "--quiet", *map(QuoteString, unmasked))
    disabled = [service.unit for service in services if service.unit not in state.enabled]
    if disabled:
        yield StringCommand("systemctl", "enable", "--quiet", *map(QuoteString, disabled))
    first = next((i for i, one in enumerate(services) if one.late), len(services))
    if files_wait:
        yield from _started(services[:first], state)
        yield StringCommand("sh", "-c", QuoteString(GO_LIVE))
        yield from _run(action for action in due if action.late)
        yield from _started(services[first:], state)
    else:
        yield from _started(services, state)
    for unit in gone:
        yield StringCommand(_END.format(unit=shlex.quote(unit)))
    yield from _masked([unit for unit in unwanted if unit in gone])
    if files_wait:
        yield _told(f"sh -c {shlex.quote(FINISH)}", FILES)
    if gone or set(wanted) != state.managed:
        yield StringCommand("printf", QuoteString("%s\\n"), *map(QuoteString, wanted), ">", MANAGED)


def _run(actions: Iterable[Action]) -> Generator[StringCommand, None, None]:
    for action in actions:
        yield _told(f"{{ {action.command}; }}", action.name)


def _masked(units: list[str]) -> Generator[StringCommand, None, None]:
    if units:
        yield StringCommand(_MASK.format(units=shlex.join(units)))


def _started(
    services: tuple[Service, ...], state: ServicesState
) -> Generator[StringCommand, None, None]:
    for verb, units in _together(services, state):
        unless = "" if verb == "reload-or-restart" else _IS_UP
        command = _SYSTEMCTL.format(verb=verb, units=shlex.join(units), unless=unless)
        yield _told(command, *units)


def _together(
    services: tuple[Service, ...], state: ServicesState
) -> Generator[tuple[str, list[str]], None, None]:
    """What systemctl is to do, and to which units at once: one after the other, most of them wait.

    All of a new host's services took 16 s one by one, and 8 s together (both on a busy machine).
    """
    due = [(verb, service) for service in services if (verb := _verb(service, state))]
    for (verb, _), group in groupby(due, lambda pair: (pair[0], pair[1].alone and pair[1].unit)):
        yield verb, [service.unit for _, service in group]


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


def _told(command: str, *names: str) -> StringCommand:
    """`command`, and only if it succeeds the removal of the marks."""
    marks = (QuoteString(f"{PENDING}/{name}") for name in names)
    return StringCommand(command, "&&", "rm", "-f", *marks)
