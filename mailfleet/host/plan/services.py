"""Units that a deploy would enable, start, reload or end, in its order, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from mailfleet.host.observed import ServicesState
from mailfleet.host.state import Action, Service

FILES = "files"
"""The name that is pending while files wait for the late services."""

Verb = Literal[
    "run", "mask", "unmask", "enable", "start", "restart", "reload", "go live", "end", "finish", "record",
]  # fmt: skip
_OLD = "an earlier deploy changed what it reads, and was cut off before it learnt of it"
_CODE = "it runs other code"


@dataclass(frozen=True)
class UnitStep:
    """One command: what is done to which units at once; `run` names an action.

    `go live` puts the files in place that wait, `finish` forgets that they waited, and `record` writes
    down which units this deploy started; none of them names any.
    """

    verb: Verb
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServicesPlan:
    """What `operations.services` does."""

    steps: tuple[UnitStep, ...] = ()
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By unit or action, why it starts, restarts, reloads or runs: texts, or the files that changed."""

    @property
    def is_empty(self) -> bool:
        return not self.steps


def plan_services(
    services: tuple[Service, ...],
    actions: tuple[Action, ...],
    masked: tuple[str, ...],
    observed: ServicesState,
    affected: Mapping[str, tuple[str, ...]] | None = None,
    *,
    files_wait: bool = False,
) -> ServicesPlan:
    """Compare units with what they shall be.

    `affected` are the units and actions that files which differ still will affect, with their paths,
    and `files_wait` tells that some of them wait for the late services: both are known to the host
    once the files are in place.
    """
    affected = affected or {}
    pending = {*observed.pending, *affected, *([FILES] if files_wait else [])}
    state = replace(observed, pending=frozenset(pending))
    steps = tuple(_steps(services, actions, masked, state))
    named = {name for step in steps for name in step.names}
    outdated = outdated_units(services, observed)
    reasons = {name: _reasons(name, observed, affected, outdated) for name in sorted(named)}
    return ServicesPlan(steps, {name: why for name, why in reasons.items() if why})


def outdated_units(services: Iterable[Service], observed: ServicesState) -> tuple[str, ...]:
    """The units that run, and by their own words other code than they shall."""
    return tuple(
        service.unit
        for service in services
        if service.unit in observed.active
        and service.status
        and service.status != observed.statuses.get(service.unit)
    )


def _reasons(
    name: str,
    observed: ServicesState,
    affected: Mapping[str, tuple[str, ...]],
    outdated: Collection[str],
) -> tuple[str, ...]:
    code = (_CODE,) if name in outdated else ()
    if name in affected:
        return (*affected[name], *code)
    return code or ((_OLD,) if name in observed.pending else ())


def _steps(
    services: tuple[Service, ...],
    actions: tuple[Action, ...],
    masked: tuple[str, ...],
    state: ServicesState,
) -> Iterator[UnitStep]:
    files_wait = FILES in state.pending
    due = [action for action in actions if action.name in state.pending]
    yield from _run(action for action in due if not (action.late and files_wait))
    gone = sorted(state.managed - {service.unit for service in services})
    unwanted = [unit for unit in masked if unit not in state.masked]
    yield from _named("mask", [unit for unit in unwanted if unit not in gone])
    wanted = sorted(service.unit for service in services)
    yield from _named("unmask", [unit for unit in wanted if unit in state.masked])
    yield from _named("enable", [s.unit for s in services if s.unit not in state.enabled])
    first = next((i for i, service in enumerate(services) if service.late), len(services))
    if files_wait:
        yield from _together(services[:first], state)
        yield UnitStep("go live")
        yield from _run(action for action in due if action.late)
        yield from _together(services[first:], state)
    else:
        yield from _together(services, state)
    yield from (UnitStep("end", (unit,)) for unit in gone)
    yield from _named("mask", [unit for unit in unwanted if unit in gone])
    if files_wait:
        yield UnitStep("finish")
    if gone or set(wanted) != state.managed:
        yield UnitStep("record")


def _run(actions: Iterable[Action]) -> Iterator[UnitStep]:
    return (UnitStep("run", (action.name,)) for action in actions)


def _named(verb: Verb, units: list[str]) -> Iterator[UnitStep]:
    if units:
        yield UnitStep(verb, tuple(units))


def _together(services: tuple[Service, ...], state: ServicesState) -> Iterator[UnitStep]:
    """What systemctl is to do, and to which units at once: one after the other, most of them wait.

    All of a new host's services took 16 s one by one, and 8 s together (both on a busy machine).
    """
    due = [(verb, service) for service in services if (verb := _verb(service, state))]
    for (verb, _), group in groupby(due, lambda pair: (pair[0], pair[1].alone and pair[1].unit)):
        yield UnitStep(verb, tuple(service.unit for _, service in group))


def _verb(service: Service, state: ServicesState) -> Verb | None:
    if not service.runs:
        return None
    if service.unit in state.waiting:
        # Not "start", which would wait until systemd's own next attempt.
        return "restart"
    if service.unit not in state.active:
        return "start"
    if outdated_units((service,), state):
        return "restart"
    if service.unit not in state.pending:
        return None
    return service.on_change
