"""docs/benchmarks.md: one section per benchmark, of which a run replaces its own."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Result, table

PATH = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_HEAD = """\
# Benchmarks

Written by `script/bench`, which runs them all; `script/bench NAME` runs one and replaces its section
here, `--json` prints the figures for programs. What is compared was measured in the same run, one
after the other in turns, so that a machine which others use as well does both the same wrong.
The hosts are those of `inventories/lab`, all on one machine.
"""


def machine() -> str:
    """The machine in one line: cores, processor, memory, kernel, and what the hosts run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (
        f"{os.cpu_count()} cores{_processor()}, {memory:.0f} GiB, Linux {platform.release()}, {release}; "
        "hosts: Debian 12 (mta1.eu) and 13 (mta1.us)"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f" ({found[1].strip()})" if found else ""


def section(result: Result, measured_on: str) -> str:
    """A result as it stands in the document."""
    # The benchmark's own load is part of it; far more than the cores: others were busy too.
    load = f"Load average over the last 15 minutes: {os.getloadavg()[2]:.1f}."
    text = f"{result.method.strip()}\n\n{table(result)}\nMachine: {measured_on}. {load}\n"
    return f"## {result.name}\n\n{text}"


def update(results: Sequence[Result], order: Sequence[str], measured_on: str) -> None:
    """Put the results into the document, in the order of all benchmarks' names."""
    sections = _sections(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    sections |= {result.name: section(result, measured_on) for result in results}
    known = [sections[name] for name in order if name in sections]
    part = PATH.with_name(f".{PATH.name}.part")
    part.write_text("\n".join([_HEAD, *known]), encoding="utf-8")
    part.replace(PATH)


def _sections(text: str) -> dict[str, str]:
    """The document's sections by name, each from its heading to the next."""
    parts = re.split(r"(?m)^(?=## )", text)[1:]
    return {part.split("\n", 1)[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}
