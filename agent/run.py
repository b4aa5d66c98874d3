"""Starts one of the programs of the archive.

    python3 agent.pyz PROGRAM [ARGUMENT ...]
    python3 agent.pyz check [PROGRAM CONFIG ...]

`check` imports all programs and reads the configurations: what a deploy asks of an archive before it takes
the place of the one before. Exit codes: the program's own; 2 for a wrong call or configuration.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from agent.lib import systemd
from agent.lib.configuration import ConfigurationError, load
from agent.lib.version import status_of

PROGRAMS = (
    "authentication",
    "certificate",
    "maildirs",
    "message",
    "resolver_watchdog",
    "tls_policy",
)


def program(name: str) -> ModuleType:
    """The module that has a program's `main`."""
    return importlib.import_module(f"agent.{name}.main")


def check(arguments: Sequence[str]) -> int:
    """Import all programs, and read the configurations of the pairs PROGRAM CONFIG."""
    for name in PROGRAMS:
        program(name)
    for name, path in zip(arguments[::2], arguments[1::2], strict=True):
        load(importlib.import_module(f"agent.{name}.config").Config, path)
    return 0


def main() -> int:
    """Run the program that the command line names."""
    name, arguments = "".join(sys.argv[1:2]), sys.argv[2:]
    try:
        if name == "check" and len(arguments) % 2 == 0:
            return check(arguments)
        if name in PROGRAMS:
            # Before the program is imported: where the archive is replaced in between, what is told is old,
            # and the deploy starts the program again.
            systemd.tell(f"STATUS={status_of(name, sys.argv[0])}".encode())
            return int(program(name).main(arguments) or 0)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(__doc__, file=sys.stderr)
    return 2
