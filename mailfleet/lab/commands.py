"""Running the machine's own tools, with failures in words."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from mailfleet.lab.errors import LabError


def run(argv: Sequence[str], *, stdin: str = "", hint: str = "") -> str:
    """Run a tool to its end and return its stdout; `LabError` with its last words if it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}", hint) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        reason = "; ".join(words[-3:]) or f"exit code {done.returncode}"
        raise LabError(f"`{' '.join(argv[:4])} ...` failed: {reason}", hint)
    return done.stdout
