"""Postfix's configuration as Postfix itself reports it, beside the planned files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailfleet.host.paths import configuration

HELD = "find {folder}/hold -type f -printf . | wc -c"
"""Prints how many messages an instance with the queue directory `folder` has on hold."""
# Given on postconf's command line, not in the file.
_NOT_IN_FILE = {"config_directory"}


def main_problems(planned: str, reported: str) -> list[str]:
    """`planned` is a main.cf, `reported` what `postconf -n` prints for it."""
    wanted, actual = _parameters(planned), _parameters(reported)
    problems = [line for line in reported.splitlines() if line.startswith("postconf:")]
    for name in sorted(wanted.keys() | actual.keys() - _NOT_IN_FILE):
        if name not in actual:
            problems.append(f"{name} is not set, expected '{wanted[name]}'")
        elif name not in wanted:
            problems.append(f"{name} is '{actual[name]}', and is not planned")
        elif actual[name] != wanted[name]:
            problems.append(f"{name} is '{actual[name]}', expected '{wanted[name]}'")
    return problems


def master_problems(planned: str, reported: str) -> list[str]:
    """`planned` is a master.cf, `reported` what `postconf -M` prints for it."""
    wanted, actual = _services(planned), _services(reported)
    problems = [line for line in reported.splitlines() if line.startswith("postconf:")]
    for name in sorted(wanted.keys() | actual.keys()):
        if name not in actual:
            problems.append(f"service {name} is missing")
        elif name not in wanted:
            problems.append(f"service {name} is not planned")
        elif actual[name] != wanted[name]:
            problems.append(f"service {name} is '{actual[name]}', expected '{wanted[name]}'")
    return problems


def hold_problems(instance: str, output: str) -> list[str]:
    """Messages that nobody will deliver; `said` is what `HELD` printed for the instance."""
    if output.strip() == "0":
        return []
    if not output.strip().isdigit():
        return [f"what {instance} has on hold cannot be read: {output.strip() or 'nothing'}"]
    folder = configuration(instance)
    return [
        f"{instance} has mail on hold ({output.strip()}), which is neither delivered nor expires: "
        f"'postqueue -c {folder} -p' marks them with !, 'postcat -c {folder} -q ID' shows one, "
        f"'postsuper -c {folder} -H ALL' sends them, 'postsuper -c {folder} -d ALL hold' deletes them"
    ]


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with their continuations, without comments (postconf(5): line format)."""
    whole = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or line.startswith("postconf:"):
            continue
        if line[0].isspace():
            whole += " " + line
            continue
        if whole:
            yield " ".join(whole.split())
        whole = line
    if whole:
        yield " ".join(whole.split())


def _parameters(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in _logical_lines(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _services(text: str) -> dict[str, str]:
    """By name and type, which identify a service; `-o` with or without blanks is the same."""
    services = {}
    for line in _logical_lines(text):
        columns = re.sub(r"\s*=\s*", "=", line).split()
        services[" ".join(columns[:2])] = " ".join(columns[2:])
    return services
