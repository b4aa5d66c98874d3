"""What fake hosts answer: computed from the very state that the roles want of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.files import Tree
from mailfleet.facts.preconditions import Preconditions
from mailfleet.facts.release import Release
from mailfleet.facts.services import Services
from mailfleet.facts.tls import CHAIN, KEY, Tls
from mailfleet.host.plan.keys import tables
from mailfleet.host.plan.packages import REMAINS
from mailfleet.host.state import ConfigFile, Directory, HostState
from mailfleet.host.target import Target
from roles import desired

Answers = dict[str, Any]
"""What a fake host answers: a part of the command's text, and lines or a dict for the connector."""


def fresh(target: Target) -> Answers:
    """A host that has nothing; once files are installed, everything that they affect is pending."""
    state = desired(target)
    pending = dict.fromkeys(name for file in state.files for name in file.affects)
    return {
        text(Release().command()): machine(target),
        text(Services().command(state.units)): [f"pending={name}" for name in pending],
    }


def converged(target: Target, certificate: Iterable[str]) -> Answers:
    """A host that is as the roles want it; `certificate` is what the Tls fact's command prints."""
    state = desired(target)
    keys = [
        {"domain": k.domain, "selector": k.selector, "p": "AAAA", "bits": k.bits, "visible": True,
         "owner": "600 opendkim opendkim", "signing": True}
        for k in state.keys
    ]  # fmt: skip
    assert state.certificate is not None
    applied = f"applied|{state.certificate.config_hash}"
    return {
        text(Release().command()): machine(target),
        preconditions(state): [f"{name} ii " for name in state.packages],
        text(Tls().command(CHAIN, KEY)): [applied, *certificate],
        text(DkimKeys().command()): [json.dumps(keys)],
        **_tree("host", state.files, state.directories),
        **_tree("dkim", tables(state.signers, state.keys)),
        text(Services().command(state.units)): _services(state),
    }


def preconditions(state: HostState) -> str:
    """What `operations.packages` asks a host first."""
    packages = (*state.packages, *REMAINS)
    ports = tuple(sorted({listener.port for listener in state.listeners}))
    return text(Preconditions().command(packages=packages, ports=ports))


def machine(target: Target) -> list[str]:
    """What the Release fact's command prints."""
    return [target.suite, str(target.capacity.cores), str(target.capacity.memory * 1024)]


def text(command: Any) -> str:
    return command if isinstance(command, str) else str(command.get_raw_value())


def _tree(
    tree: str, files: tuple[ConfigFile, ...], directories: tuple[Directory, ...] = ()
) -> Answers:
    paths = tuple(file.path for file in files) + tuple(d.path for d in directories)
    lines = [f"stat|regular file|{f.mode:o}|{f.owner}|{f.group}|{f.path}" for f in files]
    lines += [f"stat|directory|{d.mode:o}|{d.owner}|{d.group}|{d.path}" for d in directories]
    lines += [f"{f.sha256}  {f.path}" for f in files]
    lines += [f"managed|{file.path}" for file in files]
    return {text(Tree().command(tree=tree, paths=paths)): lines}


def _services(state: HostState) -> list[str]:
    lines = []
    for service in state.services:
        active = "active" if service.runs else "inactive"
        lines += [f"Id={service.unit}", f"ActiveState={active}", "UnitFileState=enabled"]
        lines += [f"StatusText={service.status}", ""]
    for unit in state.masked:
        lines += [f"Id={unit}", "ActiveState=inactive", "UnitFileState=masked", ""]
    return lines + [f"managed={service.unit}" for service in state.services]
