"""A deploy by pyinfra's own command, and which hosts it reached."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailfleet.errors import MailfleetError
from mailfleet.model.names import domain_name
from mailfleet.remote.process import run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeployResult:
    """What became of each host: changed, unchanged, failed or not reached."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[str, ...]
    missing: tuple[str, ...]
    """Hosts that were to be deployed, and of which pyinfra said nothing."""

    @property
    def is_complete(self) -> bool:
        return not self.failed and not self.missing


def deploy(
    inventory: str, program: Path, hosts: Collection[str], limit: str | None
) -> DeployResult:
    """Run `program` on the `hosts` of an inventory, which `limit` names; None: on all.

    pyinfra's progress goes to stderr. It ends with 0 where an inventory or a limit named no host at
    all, so the hosts are counted here. MailfleetError where pyinfra itself fails, with its last words
    above it on stderr.
    """
    command = command_line(inventory, program, limit, "-y")
    environment = dict(os.environ)
    if sys.stderr.isatty():
        # --json alone switches it off, for those who read both streams as one.
        environment.setdefault("PYINFRA_PROGRESS", "on")
    done = run(command, stdout=subprocess.PIPE, env=environment)
    results = _results(done.stdout)
    if results is None:
        problem = f"pyinfra ended with exit code {done.returncode} before it deployed anything"
        raise MailfleetError(problem, "what it said stands above")
    return result_of(results, hosts)


def command_line(inventory: str, program: Path, limit: str | None, *options: str) -> list[str]:
    """pyinfra's own command, which prints one document, and on stderr what it does.

    With `--debug` that is each remote command too. Its own --debug is not used: it shows ssh_password.
    """
    command = [sys.executable, "-m", "pyinfra", "--json", *options, inventory, str(program)]
    if _log.isEnabledFor(logging.DEBUG):
        command.append("-vv")
    return command if limit is None else [*command, "--limit", limit]


def result_of(results: Mapping[str, Any], hosts: Collection[str]) -> DeployResult:
    """The outcome for each of `hosts`, of "results" in pyinfra's document."""
    failed = {_bare(name) for name in results["failed_hosts"]}
    changed: set[str] = set()
    unchanged: set[str] = set()
    for operation in results["operations"]:
        failed |= set(map(_bare, operation["error"]))
        changed |= set(map(_bare, operation["success"]))
        unchanged |= set(map(_bare, operation["no_change"]))
    changed -= failed
    unchanged -= failed | changed
    missing = set(hosts) - failed - changed - unchanged
    return DeployResult(*(tuple(sorted(names)) for names in (changed, unchanged, failed, missing)))


def _results(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    results = document.get("results") if isinstance(document, dict) else None
    return results if isinstance(results, dict) else None


def _bare(host: str) -> str:
    """A host's name without pyinfra's connector, e.g. "@fake/"."""
    return domain_name(host.rpartition("/")[2])
