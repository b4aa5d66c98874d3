"""How far services are confined: systemd's score, and whether running processes can gain privileges."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

_SCORE = re.compile(r"Overall exposure level for (\S+): ([0-9.]+)")


def scores_command(units: Sequence[str]) -> str:
    """Asks systemd to score the units as they are loaded."""
    return f"systemd-analyze security --no-pager {shlex.join(units)}"


def processes_command(units: Sequence[str]) -> str:
    """For each process of the units: unit, name, and whether it can gain privileges (proc(5))."""
    return f"""\
for unit in {shlex.join(units)}; do
  group=$(systemctl show --property=ControlGroup --value "$unit")
  for pid in $(cat "/sys/fs/cgroup$group/cgroup.procs"); do
    sed -n "s/^Name:/$unit/p; s/^NoNewPrivs://p" "/proc/$pid/status" | paste -s -d ' '
  done
done"""


def score_problems(limits: Mapping[str, float], output: str) -> list[str]:
    """Units whose score is above their limit in `limits`, or is not known."""
    scores = {unit: float(score) for unit, score in _SCORE.findall(output)}
    problems = []
    for unit, limit in limits.items():
        if unit not in scores:
            problems.append(f"systemd gives no score for {unit}")
        elif scores[unit] > limit:
            problems.append(f"{unit} has exposure {scores[unit]}, expected {limit} at most")
    return problems


def process_problems(units: Sequence[str], output: str) -> list[str]:
    """Units with a process that can gain privileges, or without any process.

    Such a process was started without the sandbox. That all others have every part of theirs is not said.
    """
    rows = [line.split() for line in output.splitlines()]
    seen = {row[0] for row in rows if len(row) == 3}
    problems = [f"{unit} has no process to look at" for unit in units if unit not in seen]
    loose = dict.fromkeys((row[0], row[1]) for row in rows if len(row) == 3 and row[2] != "1")
    return problems + [f"{name} of {unit} runs outside of its sandbox" for unit, name in loose]
