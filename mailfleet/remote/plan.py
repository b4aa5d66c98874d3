"""What a deploy would change on hosts, asked by pyinfra's own command in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from mailfleet.host.plan.report import PLAN, HostReport, load
from mailfleet.remote.process import timed
from mailfleet.remote.pyinfra import command_line

_log = logging.getLogger(__name__)
_LOOK = 0.2
"""Seconds between two looks at how far it is; nothing depends on it but the progress that is shown."""


@dataclass(frozen=True)
class PlansRead:
    """By host name, in the order in which they were asked for."""

    reports: dict[str, HostReport]
    unread: dict[str, str]
    """Why hosts could not be asked."""


def read_plans(
    inventory: str,
    program: Path,
    hosts: Collection[str],
    limit: str | None,
    progress: Callable[[str], None] = lambda _: None,
) -> PlansRead:
    """Ask the `hosts` of an inventory, which `limit` names, what `program` would change on them.

    Nothing is written on any host. `progress` hears the name of each host once it has answered.
    """
    with tempfile.TemporaryDirectory(prefix="mailfleet-plan-") as folder:
        command = command_line(inventory, program, limit, "--dry", "--data", f"{PLAN}={folder}")
        errors = _run(command, Path(folder), progress)
        reports = {path.stem: load(path.read_bytes()) for path in Path(folder).glob("*.json")}
    missing = [name for name in hosts if name not in reports]
    return PlansRead(
        {name: reports[name] for name in hosts if name in reports},
        {name: _reason(name, errors) for name in missing},
    )


def _run(command: list[str], folder: Path, progress: Callable[[str], None]) -> list[str]:
    """Run to the end; the lines of stderr."""
    shown: set[str] = set()
    log = folder / "stderr"
    with (
        timed(command) as ended,
        log.open("wb") as errors,
        log.open(encoding="utf-8", errors="replace") as written,
    ):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK)
                ready = {path.stem for path in folder.glob("*.json")}
                for name in sorted(ready - shown):
                    progress(name)
                shown |= ready
                for line in filter(str.strip, written):
                    _log.info("%s", line.rstrip())
                if process.returncode is not None:
                    ended.append(process.returncode)
                    break
        finally:
            process.kill()
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _reason(name: str, errors: list[str]) -> str:
    """The last words about a host; else the last ones that sound like an error."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in errors]
    own = [text for line in plain if (text := _about(name, line))]
    other = [line for line in plain if "rror" in line or "annot" in line or "ould not" in line]
    words = [line for line in own if not re.match("Connected|Ready|Loaded fact|>>>", line)] or other
    return words[-1] if words else "pyinfra gave no reason"


def _about(name: str, line: str) -> str:
    """What a line of pyinfra's log tells of a host: `[@ssh/mta1.eu.example] text`."""
    match = re.match(r"\[(?:@\w+/)?([^\]]+)\]:?\s*(.+)", line)
    return match[2] if match and match[1].lower() == name else ""
