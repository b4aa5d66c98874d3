"""Running `pyinfra` and `mailfleet` many times without importing them each time, which costs 1.5 s.

A process imports the program once and forks for each run: the fork gets the run's own arguments,
environment and output, and is as good as a new process from there on. `python -m tests.lab.preloaded
PROGRAM` is that process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
# pyinfra's first module patches the standard library, so it comes first, as in a run of its own.
_IMPORTS = {
    "pyinfra": ("pyinfra_cli.main", "mailfleet.deploy.host", "mailfleet.deploy.dns", "roles"),
    "mailfleet": ("mailfleet.cli", "mailfleet.verify.reading", "pytest", "testinfra", "roles"),
}


def run(
    program: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `program` in the checkout to its end; how it ended is for the caller to judge."""
    server = _server(program)
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory(prefix="mailfleet-run-") as folder:
        order = {"folder": folder, "arguments": arguments, "environment": dict(environment)}
        with _ONE_AT_A_TIME:
            server.stdin.write(json.dumps(order) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
        said = [Path(folder, name).read_text() for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess([program, *arguments], code, *said)


def close() -> None:
    """End the processes that this one has started."""
    for server in _SERVERS:
        server.communicate()
    _SERVERS.clear()
    _server.cache_clear()


_SERVERS: list[subprocess.Popen[str]] = []
_ONE_AT_A_TIME = threading.Lock()


@functools.cache
def _server(program: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.lab.preloaded", program]
    server = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    _SERVERS.append(server)
    return server


def _serve(program: str) -> None:
    for module in _IMPORTS[program]:
        importlib.import_module(module)
    fork, wait = _own_calls()
    for line in sys.stdin:
        child = fork()
        if child == 0:
            _become(program, json.loads(line))
        print(os.waitstatus_to_exitcode(wait(child, 0)[1]), flush=True)


def _own_calls() -> tuple[Callable[[], int], Callable[[int, int], tuple[int, int]]]:
    """fork(2) and wait(2) themselves: gevent's would start its loop here, before any fork."""
    if "gevent.monkey" not in sys.modules:
        return os.fork, os.waitpid
    from gevent.monkey import get_original

    fork, wait = get_original("os", ["fork", "waitpid"])
    return fork, wait


def _become(program: str, order: dict[str, object]) -> NoReturn:
    """Do one run, in a process of its own."""
    code: object = 1
    try:
        folder = Path(str(order["folder"]))
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        environment, arguments = order["environment"], order["arguments"]
        assert isinstance(environment, dict)
        assert isinstance(arguments, list)
        os.environ.update(environment)
        sys.argv[:] = [program, *arguments]
        if program == "pyinfra":
            runpy.run_module("pyinfra", run_name="__main__")
        else:
            from mailfleet.cli import main

            main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter ends a program
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    if isinstance(code, str):
        os.write(2, f"{code}\n".encode())
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve(sys.argv[1])
