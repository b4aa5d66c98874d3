"""Files and folders that a deploy would create, change or remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mailfleet.host.observed import FileState, TreeState
from mailfleet.host.plan.diff import unified_diff
from mailfleet.host.state import ConfigFile, Directory

_FILE, _FOLDER = "regular file", "directory"


@dataclass(frozen=True)
class FileChange:
    """One path that is not as wanted. `after` is None where it goes.

    `before` is None where nothing is there, and where it goes.
    """

    path: str
    before: FileState | None
    after: FileState | None
    affects: tuple[str, ...] = ()
    """The services and actions that use it."""
    secret: bool = False
    """Whether its content must not be shown."""
    binary: bool = False
    """Whether its content is no text."""
    diff: tuple[str, ...] = ()
    """Lines of a unified diff, secrets masked; empty until the content is known: see `with_diffs`."""
    note: str = ""
    """Why there is no diff, or what it does not show."""

    @property
    def action(self) -> Literal["create", "change", "remove"]:
        if self.after is None:
            return "remove"
        return "create" if self.before is None else "change"

    @property
    def content_differs(self) -> bool:
        """Whether the kind or the text has to change, not only mode and owner."""
        if self.before is None or self.after is None:
            return True
        now, then = self.before, self.after
        return (now.kind, now.sha256) != (then.kind, then.sha256)

    @property
    def access_differs(self) -> bool:
        """Whether mode, owner or group of something that is there have to change."""
        if self.before is None or self.after is None:
            return False
        return self.before.access != self.after.access

    @property
    def is_comparable(self) -> bool:
        """Whether the text on the host has to be read for the diff."""
        return (
            not self.secret
            and not self.binary
            and self.content_differs
            and self.before is not None
            and self.after is not None
            and self.before.kind == self.after.kind == _FILE
        )


@dataclass(frozen=True)
class FilesPlan:
    """What `operations.files` does to one set of files."""

    tree: str
    changes: tuple[FileChange, ...] = ()
    """Folders, files, then what is no longer needed."""
    is_new: bool = False
    """Whether no deploy has put files of this set on the host before."""
    finish: bool = False
    """Whether an earlier deploy was cut off, and the whole set is put in place once more."""

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.finish

    @property
    def placed(self) -> tuple[str, ...]:
        """The paths that are created or changed."""
        return tuple(change.path for change in self.changes if change.after is not None)

    @property
    def stale(self) -> tuple[str, ...]:
        """The paths that an earlier deploy put there, and that are no longer needed."""
        return tuple(change.path for change in self.changes if change.after is None)

    @property
    def affected(self) -> dict[str, tuple[str, ...]]:
        """By service or action, the files that it has to learn of."""
        paths: dict[str, tuple[str, ...]] = {}
        for change in self.changes:
            if change.after is not None:
                for name in change.affects:
                    paths[name] = (*paths.get(name, ()), change.path)
        return paths


def plan_files(
    tree: str,
    files: Iterable[ConfigFile],
    directories: Iterable[Directory],
    observed: TreeState,
) -> FilesPlan:
    """Compare the set `tree` of files and folders with what the host has."""
    files, directories = tuple(files), tuple(directories)
    wanted = {file.path for file in files}
    stale = observed.managed - wanted - {directory.path for directory in directories}
    changes = file_changes(files, directories, observed)
    changes += [FileChange(path, None, None) for path in sorted(stale)]
    # A run that was cut off after its last rename has not written down what it manages.
    unwritten = bool(wanted - observed.managed)
    return FilesPlan(
        tree,
        tuple(changes),
        is_new=bool(files) and not observed.managed,
        finish=observed.unfinished or (unwritten and not changes),
    )


def file_changes(
    files: Iterable[ConfigFile], directories: Iterable[Directory], observed: TreeState
) -> list[FileChange]:
    """The folders, then the files, that are missing or differ in kind, mode, owner or content."""
    changes = [change for d in directories if (change := _change(d, _wanted_folder(d), observed))]
    return changes + [change for f in files if (change := _change(f, _wanted_file(f), observed))]


def _change(
    item: ConfigFile | Directory, wanted: FileState, observed: TreeState
) -> FileChange | None:
    now = observed.paths.get(item.path)
    if now == wanted:
        return None
    if isinstance(item, Directory):
        return FileChange(item.path, now, wanted)
    binary = item.binary is not None
    return FileChange(item.path, now, wanted, item.affects, item.secret, binary)


def _wanted_file(file: ConfigFile) -> FileState:
    return FileState(_FILE, file.mode, file.owner, file.group, file.sha256)


def _wanted_folder(directory: Directory) -> FileState:
    return FileState(_FOLDER, directory.mode, directory.owner, directory.group)


def with_diffs(
    plan: FilesPlan, files: Iterable[ConfigFile], contents: Mapping[str, bytes]
) -> FilesPlan:
    """The plan with the differences of its files; `contents` is what the host has."""
    texts = {file.path: file for file in files}
    return replace(
        plan,
        changes=tuple(
            _with_diff(change, texts.get(change.path), contents) for change in plan.changes
        ),
    )


def _with_diff(
    change: FileChange, file: ConfigFile | None, contents: Mapping[str, bytes]
) -> FileChange:
    if file is None or not change.content_differs:
        return change
    if change.secret:
        return replace(change, note="its content is a secret, and not shown")
    if change.before is not None and change.before.kind != _FILE:
        return replace(change, note=f"a {change.before.kind} makes room for it")
    if change.binary:
        return replace(change, note=f"binary, {len(file.data)} octets")
    is_new = change.before is None
    if not is_new and change.path not in contents:
        return replace(change, note="what is there is too large to be shown, or went meanwhile")
    diff = unified_diff(contents.get(change.path, b""), file.data, change.path, is_new=is_new)
    note = "" if diff else "differs only in what is masked"
    return replace(change, diff=diff, note=note)
