"""systemd's units: what a deploy would still do to them."""

from __future__ import annotations

from mailfleet.host.observed import ServicesState
from mailfleet.host.plan.services import ServicesPlan, Verb, outdated_units, plan_services
from mailfleet.host.state import HostState


def plan_of(state: HostState, observed: ServicesState) -> ServicesPlan:
    """The plan of a deploy, of which a host that is as it should be leaves nothing."""
    return plan_services(state.services, state.actions, state.masked, observed)


def enabled_problems(plan: ServicesPlan) -> list[str]:
    """Units that do not start at boot."""
    units = _names(plan, "unmask", "enable")
    return [f"{unit} is not enabled, expected it to start at boot" for unit in units]


def masked_problems(plan: ServicesPlan) -> list[str]:
    """Units that a package brings, that this host does not need, and that may start."""
    units = _names(plan, "mask")
    return [f"{unit} is not masked, so an update may start it; deploy again" for unit in units]


def running_problems(plan: ServicesPlan, observed: ServicesState) -> list[str]:
    """Units that do not run."""
    units = [unit for unit in _names(plan, "start", "restart") if unit not in observed.active]
    return [f"{unit} is not running" for unit in units]


def reload_problems(plan: ServicesPlan, observed: ServicesState) -> list[str]:
    """Units and actions that an earlier deploy did not get to."""
    names = [n for n in _names(plan, "run", "start", "restart", "reload") if n in observed.pending]
    return [f"{name} still has to learn of a changed file; deploy again" for name in sorted(names)]


def code_problems(state: HostState, observed: ServicesState) -> list[str]:
    """Programs of ours that run other code than the archive has that was deployed."""
    return [
        f"{unit} runs other code than this version of mailfleet ships; deploy again"
        for unit in outdated_units(state.services, observed)
    ]


def leftover_problems(plan: ServicesPlan) -> list[str]:
    """Units that an earlier deploy started, and that are no longer wanted."""
    units = _names(plan, "end")
    return [f"{unit} is of an earlier deploy, and no longer wanted; deploy again" for unit in units]


def _names(plan: ServicesPlan, *verbs: Verb) -> list[str]:
    return list(dict.fromkeys(n for step in plan.steps if step.verb in verbs for n in step.names))
