"""Kernel settings beside the planned ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ROW = re.compile(r"^(-?)([a-z0-9_.]+) = (.+)$", re.MULTILINE)


def settings(planned: str) -> Iterator[tuple[str, str, bool]]:
    """Key, value and whether it may be missing, of each line of a sysctl.d file."""
    for row in _ROW.finditer(planned):
        yield row[2], row[3], bool(row[1])


def command(planned: str) -> str:
    """Prints for each key that exists: whether root may set it, key and value."""
    paths = " ".join(f"/proc/sys/{key.replace('.', '/')}" for key, _, _ in settings(planned))
    return f"""\
for path in {paths}; do
  [ -r "$path" ] || continue
  if [ -w "$path" ]; then may=yes; else may=no; fi
  echo "$may $path $(cat "$path")"
done"""


def problems(planned: str, output: str) -> list[str]:
    """Keys with another value. Those that a container may not set are its host's business."""
    now = {}
    for line in output.splitlines():
        may, _, rest = line.partition(" ")
        path, _, value = rest.partition(" ")
        now[path.removeprefix("/proc/sys/").replace("/", ".")] = (may == "yes", value.split())
    texts = []
    for key, value, optional in settings(planned):
        writable, is_now = now.get(key, (False, []))
        if is_now == value.split() or (optional and not writable):
            continue
        texts.append(f"{key} is {' '.join(is_now) or 'missing'}, expected {value}")
    return texts
