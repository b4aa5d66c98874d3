"""Which code a program runs, in words that it tells systemd itself and that a deploy expects."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def status(program: str, members: Mapping[str, bytes]) -> str:
    """E.g. "code 1f2e3d4c5b6a7988": a digest of what an archive holds, other programs' modules left out.

    `members` are the archive's, by their names in it.
    """
    own = (f"agent/{program}/", "agent/lib/")
    digest = hashlib.sha256()
    for name, content in sorted(members.items()):
        if name.startswith(own) or name.count("/") < 2:
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"code {digest.hexdigest()[:16]}"


def status_of(program: str, archive: str) -> str:
    """The same of an archive's file; "code unknown" where it cannot be read."""
    try:
        with zipfile.ZipFile(Path(archive)) as file:
            return status(program, {name: file.read(name) for name in file.namelist()})
    # Python runs a member that was changed in place, though its CRC is wrong.
    except (OSError, zipfile.BadZipFile):
        return "code unknown"
