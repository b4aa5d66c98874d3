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
    texts = []
    for line in effective.splitlines():
        key, _, value = line.partition(" ")
        if key == "exception":
            texts.append(f"sshd lets somebody in without a key, expected keys only: {value}")
        now[key.lower()] = value.strip()
    for line in planned.splitlines():
        key, _, value = line.partition(" ")
        if not key or key.startswith("#"):
            continue
        actual = now.get(key.lower())
        if actual is None:
            last = effective.strip().splitlines()[-1:] or ["nothing"]
            texts.append(f"sshd -T does not tell {key}; its last words: {last[0]}")
        elif actual.lower() != _SAME.get(value, value).lower() and not _same_networks(
            value, actual
        ):
            texts.append(f"sshd has '{key} {actual}', expected '{value}'")
    return texts


def _same_networks(planned: str, reported: str) -> bool:
    return "/" in planned and planned.split(",") == reported.split(",")
