"""Files and folders: kind, mode, owner, group and content, as a deploy compares them."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.host.observed import TreeState, shown_access
from mailfleet.host.plan.files import FileChange, file_changes
from mailfleet.host.state import ConfigFile, Directory


def content_problems(files: Iterable[ConfigFile], tree: TreeState) -> list[str]:
    """Files that are missing, or hold something else than planned."""
    changes = file_changes(files, (), tree)
    return [_content_problem(change) for change in changes if change.content_differs]


def _content_problem(change: FileChange) -> str:
    assert change.after is not None
    if change.before is None:
        return f"{change.path} is missing"
    if change.before.kind != change.after.kind:
        return f"{change.path} is a {change.before.kind}, expected a file"
    return (
        f"{change.path} was changed: its SHA-256 is {change.before.sha256[:12]}..., "
        f"expected {change.after.sha256[:12]}...; `mailfleet plan` shows the difference"
    )


def owner_problems(paths: Iterable[ConfigFile | Directory], tree: TreeState) -> list[str]:
    """Files and folders with another owner, group or mode than planned; missing folders."""
    paths = tuple(paths)
    folders = [path for path in paths if isinstance(path, Directory)]
    files = [path for path in paths if isinstance(path, ConfigFile)]
    changes = file_changes(files, folders, tree)
    return [problem for change in changes if (problem := _owner_problem(change))]


def _owner_problem(change: FileChange) -> str:
    if change.before is None or change.after is None:
        return f"{change.path} is missing"
    if change.access_differs:
        return f"{change.path} is {change.before.access}, expected {change.after.access}"
    if change.after.kind == "directory":
        return f"{change.path} is a {change.before.kind}, expected a folder"
    return ""


def key_problems(keys: Iterable[tuple[str, int, str, str]], tree: TreeState) -> list[str]:
    """Private keys (path, mode, owner, group) that others may be able to read, or that are missing."""
    problems = []
    for path, mode, owner, group in keys:
        now = tree.paths.get(path)
        expected = shown_access(mode, owner, group)
        if now is None or now.kind != "regular file":
            state = "missing" if now is None else "no file"
            problems.append(f"the private key {path} is {state}")
        elif now.access != expected:
            problems.append(f"the private key {path} is {now.access}, expected {expected}")
    return problems
