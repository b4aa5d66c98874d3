"""sshd's effective settings beside the planned ones."""

from __future__ import annotations

# sshd -T prints some values by another name.
_SAME = {"prohibit-password": "without-password"}


def problems(planned: str, effective: str) -> list[str]:
    """`planned` is the text of our file.

    `effective` is what `sshd -T` prints, and a line `exception FILE: ...` for each place where somebody
    comes in without a key.
    """
    now: dict[str, str] = {}
    found = []
    for line in effective.splitlines():
        key, _, value = line.partition(" ")
        if key == "exception":
            found.append(f"sshd lets somebody in without a key, expected keys only: {value}")
        now[key.lower()] = value.strip()
    for line in planned.splitlines():
        key, _, value = line.partition(" ")
        if not key or key.startswith("#"):
            continue
        said = now.get(key.lower())
        if said is None:
            last = effective.strip().splitlines()[-1:] or ["nothing"]
            found.append(f"sshd -T does not tell {key}; its last words: {last[0]}")
        elif said.lower() != _SAME.get(value, value).lower() and not _same_networks(value, said):
            found.append(f"sshd has '{key} {said}', expected '{value}'")
    return found


def _same_networks(planned: str, said: str) -> bool:
    return "/" in planned and planned.split(",") == said.split(",")
