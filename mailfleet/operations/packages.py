"""Install Debian packages without starting the services that they bring, once nothing is in the way."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator

from pyinfra import host, logger, state
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.api.command import FunctionCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from mailfleet.facts.package_locks import LockHolder, PackageLocks
from mailfleet.facts.preconditions import Preconditions, PreconditionState
from mailfleet.facts.programs import Owners
from mailfleet.host.firewall_rules import foreign_rules
from mailfleet.host.plan.packages import REMAINS, plan_packages
from mailfleet.host.state import HostState
from mailfleet.model import Address
from mailfleet.operations import obstacles
from mailfleet.operations.package_script import INSTALL

LONGEST_WAIT = 900
"""Seconds to wait for whoever holds apt: the first upgrade of a small new server takes minutes."""
_PAUSE = 5
_REMINDER = 60


@operation()
def install(
    wanted: HostState, addresses: tuple[Address, ...]
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """Make sure that the packages of `wanted` are installed; finish an install that was cut off.

    Before anything changes: ports that somebody else holds, `addresses` that the host has not and
    units that may not start end the deploy of this host. Another mail server of Debian's makes room.
    """
    observed = preconditions(wanted)
    holders = obstacles.holders(wanted, observed, addresses)
    owners = host.get_fact(Owners, pairs=tuple(holder.key for holder in holders)) if holders else {}
    problems = obstacles.problems(wanted, addresses, observed, holders, owners)
    if problems:
        yield from _refuse([*problems, "nothing was changed; deploy again afterwards"])
        return
    for rule in foreign_rules(wanted, observed.firewall):
        logger.warning(f"{host.print_prefix}{rule}")
    servers = obstacles.mail_servers(holders, owners)
    plan = plan_packages(wanted.packages, observed.packages, observed.orphans, servers)
    if plan.is_empty:
        host.noop("all packages are installed")
        return
    if plan.forget:
        yield StringCommand("systemctl", "reset-failed", *map(QuoteString, plan.forget))
    if not plan.needs_apt:
        return
    if (blocked := _wait_for_apt()) is not None:
        yield from _refuse([blocked])
        return
    pids = [str(holder.process.pid) for holder in holders if holder.process]
    yield StringCommand(
        "sh", "-c", QuoteString(INSTALL), "install",
        QuoteString(" ".join(pids)), QuoteString(" ".join(REMAINS)), *map(QuoteString, plan.install),
    )  # fmt: skip


def preconditions(wanted: HostState) -> PreconditionState:
    """What the host is like, as far as `wanted` depends on it."""
    observed: PreconditionState = host.get_fact(
        Preconditions,
        packages=(*wanted.packages, *REMAINS),
        ports=tuple(sorted({listener.port for listener in wanted.listeners})),
    )
    return observed


def _wait_for_apt() -> str | None:
    """Wait until nobody holds apt; what to say where somebody holds it for good.

    While pyinfra only prepares, it says who is waited for later.
    """
    start, reminder = time.monotonic(), 0.0
    while holders := host.get_fact(PackageLocks):
        text = "; ".join(str(holder) for holder in holders)
        waited = time.monotonic() - start
        if _is_for_good(holders) or waited > LONGEST_WAIT:
            remedies = "; ".join(dict.fromkeys(holder.remedy for holder in holders))
            return f"apt cannot be used: {text}; {remedies}, and deploy again"
        if waited >= reminder:
            logger.info(f"{host.print_prefix}waiting for apt: {text}")
            reminder += _REMINDER
        if not state.is_executing:
            break
        time.sleep(_PAUSE)
    return None


def _is_for_good(holders: Collection[LockHolder]) -> bool:
    return any(holder.stopped for holder in holders)


def _refuse(problems: list[str]) -> Generator[FunctionCommand, None, None]:
    """End the deploy of this host with `problems`."""
    # While pyinfra prepares, an error ends the run with its text; while it executes, it would be
    # printed with its traceback.
    if not state.is_executing:
        raise PyinfraError("\n".join(f"{host.name}: {problem}" for problem in problems))
    yield FunctionCommand(_fail, [problems], {})


# pyinfra hands state and host to a function that names them, and only then takes False as failure.
def _fail(state: State, host: Host, problems: list[str]) -> bool:  # noqa: ARG001
    for problem in problems:
        logger.error(f"{host.print_prefix}{problem}")
    return False
