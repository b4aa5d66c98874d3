"""Files and folders: kind, mode, owner, group and content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mailfleet.host.observed import FileState, TreeState
from mailfleet.host.state import ConfigFile, Directory


def content_problems(files: Iterable[ConfigFile], tree: TreeState) -> list[str]:
    """Files that are missing, or hold something else than planned."""
    found = []
    for file in files:
        now = tree.paths.get(file.path)
        wanted = hashlib.sha256(file.content.encode()).hexdigest()
        if now is None:
            found.append(f"{file.path} is missing")
        elif now.kind != "regular file":
            found.append(f"{file.path} is a {now.kind}, expected a file")
        elif now.sha256 != wanted:
            found.append(
                f"{file.path} was changed: its SHA-256 is {now.sha256[:12]}..., "
                f"expected {wanted[:12]}..."
            )
    return found


def owner_problems(paths: Iterable[ConfigFile | Directory], tree: TreeState) -> list[str]:
    """Files and folders with another owner, group or mode than planned; missing folders."""
    found = []
    for path in paths:
        now = tree.paths.get(path.path)
        if now is None:
            found.append(f"{path.path} is missing")
        elif _shown(now.mode, now.owner, now.group) != (
            wanted := _shown(path.mode, path.owner, path.group)
        ):
            found.append(
                f"{path.path} is {_shown(now.mode, now.owner, now.group)}, expected {wanted}"
            )
        elif isinstance(path, Directory) and now.kind != "directory":
            found.append(f"{path.path} is a {now.kind}, expected a folder")
    return found


def key_problems(keys: Iterable[tuple[str, int, str, str]], tree: TreeState) -> list[str]:
    """Private keys (path, mode, owner, group) that others may be able to read, or that are missing."""
    found = []
    for path, mode, owner, group in keys:
        now = tree.paths.get(path)
        if now is None or now.kind != "regular file":
            found.append(f"the private key {path} is {'missing' if now is None else 'no file'}")
        elif (now.mode, now.owner, now.group) != (mode, owner, group):
            found.append(
                f"the private key {path} is {_state(now)}, expected {_shown(mode, owner, group)}"
            )
    return found


def _state(state: FileState) -> str:
    return _shown(state.mode, state.owner, state.group)


def _shown(mode: int, owner: str, group: str) -> str:
    return f"{mode:04o} {owner}:{group}"
