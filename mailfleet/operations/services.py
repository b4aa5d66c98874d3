"""One operation for all units of a host: enabled, running, and told of every changed file."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import assert_never

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.services import MANAGED, PENDING, Services
from mailfleet.host.observed import ServicesState
from mailfleet.host.paths import UNITS
from mailfleet.host.plan.services import FILES, ServicesPlan, plan_services
from mailfleet.host.state import Action, Service
from mailfleet.operations.files import FINISH, GO_LIVE

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
    f"systemctl stop {{unit}} 2>/dev/null; rm -f {UNITS}/*.wants/{{unit}}; "
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
    commands = list(commands_of(plan_services(services, actions, masked, state), services, actions))
    if not commands:
        host.noop("all services are as they should be")
    yield from commands


def commands_of(
    plan: ServicesPlan, services: tuple[Service, ...], actions: tuple[Action, ...]
) -> Generator[StringCommand, None, None]:
    """The commands that carry a plan out."""
    scripts = {action.name: action.command for action in actions}
    for step in plan.steps:
        names, units = step.names, shlex.join(step.names)
        match step.verb:
            case "run":
                yield _then_unmark(f"{{ {scripts[names[0]]}; }}", *names)
            case "mask":
                yield StringCommand(_MASK.format(units=units))
            case "unmask" | "enable":
                yield StringCommand("systemctl", step.verb, "--quiet", *map(QuoteString, names))
            case "start" | "restart" | "reload":
                # An action may have stopped it, to be started with what it reads only then.
                verb = "reload-or-restart" if step.verb == "reload" else step.verb
                unless = "" if step.verb == "reload" else _IS_UP
                command = _SYSTEMCTL.format(verb=verb, units=units, unless=unless)
                yield _then_unmark(command, *names)
            case "go live":
                yield StringCommand("sh", "-c", QuoteString(GO_LIVE))
            case "end":
                yield StringCommand(_END.format(unit=units))
            case "finish":
                yield _then_unmark(f"sh -c {shlex.quote(FINISH)}", FILES)
            case "record":
                wanted = sorted(service.unit for service in services)
                lines = map(QuoteString, wanted)
                yield StringCommand("printf", QuoteString("%s\\n"), *lines, ">", MANAGED)
            case _ as never:
                assert_never(never)


def _then_unmark(command: str, *names: str) -> StringCommand:
    """`command`, and only if it succeeds the removal of the marks."""
    marks = (QuoteString(f"{PENDING}/{name}") for name in names)
    return StringCommand(command, "&&", "rm", "-f", *marks)
