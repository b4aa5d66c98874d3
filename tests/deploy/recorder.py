"""pyinfra's own command line, with every command for an `@fake` host written to a journal.

`python recorder.py JOURNAL ARGUMENTS...` runs `pyinfra ARGUMENTS...`; each line of JOURNAL is a JSON
object with the host, the command's plain text (secrets are not masked here, so that a test can find
them) and what it would get on standard input. Nothing else of pyinfra is touched.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401 - patches the standard library for gevent, so it comes first
from pyinfra.connectors.fake import FakeConnector
from pyinfra_cli.main import main  # type: ignore[import-untyped]


def record(journal: Path) -> None:
    """Write what reaches `run_shell_command`: pyinfra runs facts and operations through it."""
    original = FakeConnector.run_shell_command

    def run_shell_command(self: Any, command: Any, *args: Any, **options: Any) -> Any:
        text = command if isinstance(command, str) else command.get_raw_value()
        row = {
            "host": self.host.name.rpartition("/")[2],
            "text": text,
            "stdin": str(options.get("_stdin") or ""),
        }
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return original(self, command, *args, **options)

    FakeConnector.run_shell_command = run_shell_command  # type: ignore[method-assign]


record(Path(sys.argv[1]))
sys.argv = ["pyinfra", *sys.argv[2:]]
main()
