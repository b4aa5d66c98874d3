"""Bringing a lab up and taking it down.

A lab is `ready` once every host has answered. Whatever is there without that mark was left behind
by a command that was killed, and the next `up` or `down` clears it away.
"""

from __future__ import annotations

import functools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mailfleet.lab import (
    assembly,
    cgroups,
    hosts,
    images,
    limits,
    mirror,
    namespaces,
    paths,
    requirements,
)
from mailfleet.lab.errors import LabError
from mailfleet.lab.paths import LabPaths, locked, write_private
from mailfleet.lab.recipes import recipe_for
from mailfleet.lab.spec import (
    Host,
    LabSpec,
    check_name,
    check_spec,
    hosts_of,
    spec_from_json,
    spec_to_json,
)

Report = Callable[[str], None]


def up(name: str, spec: LabSpec, report: Report) -> None:
    """Bring the lab `name` up, as `spec` says, and return when all of it answers.

    A lab that is up already is left as it is, but for hosts that have died: they are started
    again. `LabError` if a lab of this name with another spec is up, or if a host does not come up,
    in which case nothing of the lab is left.
    """
    check_name(name)
    check_spec(spec)
    requirements.check()
    lab = LabPaths(name)
    report = _one_at_a_time(report)
    with _failures_in_words(), locked(paths.lock_of(name)):
        if lab.ready.exists() and namespaces.exists(namespaces.internet(name)):
            _keep_up(lab, spec, report)
            return
        if leftovers(lab):
            report(f"lab {name}: clearing away what an earlier command left half done")
            _clear(lab)
        mirrors = mirror.discover()
        images.ensure(map(recipe_for, hosts_of(spec)), lambda: mirrors, report)
        limits.raise_limits()
        began = time.monotonic()
        try:
            assembly.build(lab, spec, mirrors, report)
        except BaseException:
            _clear(lab)
            raise
        report(f"lab {name} is up after {time.monotonic() - began:.1f} s")


def stop(name: str, report: Report) -> None:
    """Shut the hosts of a lab down in order and keep its files, so that `up_like` can start from them.

    The lab itself is not up any more: another `up` of its name begins anew, `down` removes it.
    """
    lab = LabPaths(name)
    with _failures_in_words(), locked(paths.lock_of(name)):
        spec = spec_of(lab)
        lab.ready.unlink()
        assembly.all_at_once(
            [functools.partial(hosts.shut_down, lab, host) for host in hosts_of(spec)]
        )
        cgroups.kill(name)
        hosts.unmount_trees(lab)
        namespaces.delete(*namespaces.of_lab(name))
        write_private(lab.stopped, json.dumps(spec_to_json(spec)))
        shutil.rmtree(lab.run)
    report(f"lab {name} is stopped")


def up_like(name: str, origin: str, report: Report) -> None:
    """Bring a new lab up whose hosts, zones and secrets are as `stop` left those of the lab `origin`.

    Its hosts boot from files that it shares with others of this origin, so `origin` must stay as it
    is until they are down. What a lab keeps in memory only is not there: Pebble's accounts, and its
    root. `LabError` if `origin` is not a stopped lab, or if anything of `name` is there.
    """
    check_name(name)
    requirements.check()
    lab, source = LabPaths(name), LabPaths(origin)
    report = _one_at_a_time(report)
    with _failures_in_words(), locked(paths.lock_of(name)):
        if not source.stopped.exists():
            raise LabError(
                f"lab {origin} was not stopped", "only a stopped lab can be started from"
            )
        if leftovers(lab):
            raise LabError(
                f"something of lab {name} is there", f"remove it: mailfleet lab down --name {name}"
            )
        limits.raise_limits()
        began = time.monotonic()
        try:
            assembly.build_like(lab, source, mirror.discover(), report)
        except BaseException:
            _clear(lab)
            raise
        report(f"lab {name} is up after {time.monotonic() - began:.1f} s")


def down(name: str, report: Report) -> None:
    """Remove the lab `name`: its processes, networks, mounts, files and secrets. Images stay."""
    check_name(name)
    requirements.check_platform()
    lab = LabPaths(name)
    with _failures_in_words(), locked(paths.lock_of(name)):
        if not leftovers(lab):
            report(f"lab {name} is down already")
            return
        _clear(lab)
    report(f"lab {name} is down")


def restart_host(name: str, host: str) -> None:
    """Reboot a host: shut it down, take its network apart, and boot it from the same files.

    Returns when it answers. What it had not made permanent, such as firewall rules, is gone.
    """
    lab = LabPaths(name)
    with _failures_in_words(), locked(paths.lock_of(name)):
        spec = spec_of(lab)
        chosen = find_host(spec, host)
        hosts.shut_down(lab, chosen)
        assembly.start(lab, spec, chosen)


def spec_of(lab: LabPaths) -> LabSpec:
    """The spec that a lab was brought up with; `LabError` if it is not up."""
    if not lab.ready.exists() or not namespaces.exists(namespaces.internet(lab.name)):
        raise LabError(
            f"lab {lab.name} is not up", f"bring it up: mailfleet lab up --name {lab.name}"
        )
    return spec_from_json(json.loads(lab.spec.read_text()))


def find_host(spec: LabSpec, wanted: str) -> Host:
    """The host that `wanted` names: its name, or the only one that begins so."""
    known = hosts_of(spec)
    exact = [host for host in known if wanted in (host.name, host.fqdn)]
    matching = exact or [host for host in known if host.name.startswith(wanted)]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(host.name for host in matching or known)
    raise LabError(
        f"{wanted!r} names more than one host" if matching else f"the lab has no host {wanted!r}",
        f"use one of: {names}",
    )


def leftovers(lab: LabPaths) -> bool:
    """Whether anything of a lab is there, up or half done."""
    return (
        lab.run.exists()
        or lab.state.exists()
        or bool(namespaces.of_lab(lab.name))
        or cgroups.exists(lab.name)
    )


def _keep_up(lab: LabPaths, spec: LabSpec, report: Report) -> None:
    if spec_of(lab) != spec:
        raise LabError(
            f"lab {lab.name} is up with other hosts or zones",
            f"take it down first: mailfleet lab down --name {lab.name}",
        )
    if not cgroups.populated(hosts.group_of(lab.name, assembly.PROXY_GROUP)):
        report(f"lab {lab.name}: starting the package proxy again")
        assembly.start_proxy(lab, mirror.discover())
    dead = [host for host in hosts_of(spec) if not hosts.running(lab.name, host)]
    for host in dead:
        report(f"lab {lab.name}: starting {host.name} again")
        hosts.shut_down(lab, host)
        assembly.start(lab, spec, host)
    assembly.await_acme(lab, spec)
    report(f"lab {lab.name} is up" + ("" if dead else " already"))


@contextmanager
def _failures_in_words() -> Iterator[None]:
    """Turn what the machine refuses into a `LabError`."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise LabError(
            f"the machine refuses: {error.strerror or error}{where}",
            "look at free space (df) and limits; a lab that is half made: mailfleet lab down",
        ) from error


def _one_at_a_time(report: Report) -> Report:
    """`report` for callers in several threads."""
    turn = threading.Lock()

    def in_turn(text: str) -> None:
        with turn:
            report(text)

    return in_turn


def _clear(lab: LabPaths) -> None:
    """Remove everything of a lab, in whatever state it is."""
    # The mark goes first: if we are killed now, the rest is not mistaken for a lab.
    lab.ready.unlink(missing_ok=True)
    cgroups.kill(lab.name)
    hosts.remove_trees(lab)
    namespaces.delete(*namespaces.of_lab(lab.name))
    for folder in (lab.state, lab.run):
        if folder.exists():
            shutil.rmtree(folder)
