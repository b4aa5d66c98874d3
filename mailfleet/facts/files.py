"""State of all managed files of a host, read in one remote command; what they hold, in another one."""

from __future__ import annotations

import base64

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.host.observed import FileState, TreeState
from mailfleet.host.paths import MANAGED_FILES, STATE

LATE = f"{STATE}/late"
"""Has a folder for each set with files that still wait to go live: see `operations.files`."""


class Tree(FactBase[TreeState]):
    """`paths` are asked for; `tree` is the set of files whose manifest is read."""

    def command(self, tree: str, paths: tuple[str, ...]) -> StringCommand:
        quoted = [QuoteString(path) for path in paths]
        return StringCommand(
            "stat", "-c", QuoteString("stat|%F|%a|%U|%G|%n"), "--", *quoted, "2>/dev/null;",
            "sha256sum", "--", *quoted, "2>/dev/null;",
            "sed", "-n", QuoteString("s/^/managed|/p"), QuoteString(f"{MANAGED_FILES}/{tree}"),
            "2>/dev/null; [ ! -d", QuoteString(f"{LATE}/{tree}"), "] || echo 'unfinished|'",
        )  # fmt: skip

    @staticmethod
    def default() -> TreeState:
        return TreeState({}, frozenset())

    def process(self, output: list[str]) -> TreeState:
        sums = {}
        for line in output:
            digest, _, path = line.partition("  ")
            if len(digest) == 64:
                sums[path] = digest
        paths, managed = {}, set()
        for line in output:
            if line.startswith("stat|"):
                _, kind, mode, owner, group, path = line.split("|", 5)
                # stat calls an empty file by a kind of its own.
                kind = "regular file" if kind == "regular empty file" else kind
                paths[path] = FileState(kind, int(mode, 8), owner, group, sums.get(path, ""))
            elif line.startswith("managed|"):
                managed.add(line.removeprefix("managed|"))
        return TreeState(paths, frozenset(managed), "unfinished|" in output)


LARGEST = 256 * 1024
"""Octets of the largest file whose content is read."""
_CONTENTS = f"""\
for path in "$@"; do
  size=$(stat -L -c %s -- "$path") || continue
  [ "$size" -le {LARGEST} ] || continue
  printf 'content|%s|%s\\n' "$(base64 -w 0 -- "$path")" "$path"
done 2>/dev/null
true"""


class FileContents(FactBase[dict[str, bytes]]):
    """What files hold, by path; without those that are not there, or larger than LARGEST.

    Only `mailfleet plan` and `pyinfra --diff` ask for it, and never for a file with secrets.
    """

    def command(self, paths: tuple[str, ...]) -> StringCommand:
        quoted = [QuoteString(path) for path in paths]
        return StringCommand("sh", "-c", QuoteString(_CONTENTS), "contents", *quoted)

    @staticmethod
    def default() -> dict[str, bytes]:
        return {}

    def process(self, output: list[str]) -> dict[str, bytes]:
        rows = [line.split("|", 2) for line in output if line.startswith("content|")]
        return {path: base64.b64decode(content) for _, content, path in rows}
