"""State of all managed files of a host, read in one remote command."""

from __future__ import annotations

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.host.observed import FileState, TreeState

STATE = "/var/lib/mailfleet"
LATE = f"{STATE}/late"
"""Has a folder for each set with files that still wait to go live: see `operations.files`."""


class Tree(FactBase[TreeState]):
    """`paths` are asked for; `tree` is the set of files whose manifest is read."""

    def command(self, tree: str, paths: tuple[str, ...]) -> StringCommand:
        quoted = [QuoteString(path) for path in paths]
        return StringCommand(
            "stat", "-c", QuoteString("stat|%F|%a|%U|%G|%n"), "--", *quoted, "2>/dev/null;",
            "sha256sum", "--", *quoted, "2>/dev/null;",
            "sed", "-n", QuoteString("s/^/managed|/p"), QuoteString(f"{STATE}/files/{tree}"),
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
