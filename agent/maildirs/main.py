"""Keeps the maildirs of inbound mail within their age and size.

    python3 agent.pyz maildirs CONFIG

Deletes mail that is older than DAYS from all maildirs in FOLDER, save what somebody has flagged (maildir(5),
F) or filed in a folder of their own (Maildir++, `.Archive`); 0 days keep all. Days count from the program's
first run on a host at the earliest: mail that was there before is kept as long as new mail, so that whoever
never asked for an end has time to read it.

Once what lies in FOLDER, such folders and readers' indexes included, takes MEGABYTES (of 2^20 octets) or
more, Postfix is told to take no more: KEY in the lmdb table TABLE then has the answer that senders get. It is
a temporary one, so that they try again; nothing that was accepted is deleted to make room.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent.lib.configuration import load
from agent.maildirs.config import Config

POSTMAP = "/usr/sbin/postmap"
MARK = "since"
"""The file beside the table whose time says since when this program has run."""
_DAY = 86_400
# maildir(5): a file that is still in tmp after 36 hours belongs to a delivery that was cut off.
_CUT_OFF = 36 * 3600
ANSWER = "452 4.3.1 the mailboxes here are full, try again later"


def delivered(folder: Path, part: str) -> Iterator[Path]:
    """The files in `new` or `cur` of the maildirs themselves, where Postfix delivers."""
    return _mail(folder.glob(f"*/{part}/*"))


def cut_off(folder: Path) -> Iterator[Path]:
    """The files in every `tmp`, those of readers' folders too: whoever files mail writes it there first."""
    yield from _mail(folder.glob("*/tmp/*"))
    yield from _mail(folder.glob("*/.*/tmp/*"))


def _mail(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.is_file() and not path.is_symlink())


def expire(folder: Path, days: int, now: float, since: float = 0) -> int:
    """Delete what is too old, where mail of before `since` counts as of then; the number of files."""
    count = 0
    ages = [(_CUT_OFF, cut_off(folder))]
    if days and since < now - days * _DAY:
        ages += [(days * _DAY, delivered(folder, part)) for part in ("new", "cur")]
    for age, paths in ages:
        for path in paths:
            # A reader may move it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < now - age and not _is_flagged(path):
                    path.unlink()
                    count += 1
    return count


def begun(mark: Path, now: float) -> float:
    """When this program first ran here: the time of the file `mark`, which it makes then."""
    with contextlib.suppress(FileNotFoundError):
        since = mark.stat().st_mtime
        # A clock that was ahead must not keep mail for longer.
        if since <= now:
            return since
    mark.touch()
    return now


def _is_flagged(path: Path) -> bool:
    """Whether a reader has marked the mail: `:2,FS` at the end of its name."""
    return "F" in path.name.partition(":2,")[2]


def size(folder: Path) -> int:
    """Octets on the disk of all that lies in `folder`; what is read away meanwhile counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
    return total


def tell(table: Path, key: str, full: bool) -> bool:
    """Let Postfix know; whether there was anything new to it. `postmap` replaces the table at once."""
    if Path(f"{table}.lmdb").exists():
        asked = [POSTMAP, "-q", key, f"lmdb:{table}"]
        entry = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if entry == (ANSWER if full else ""):
            return False
    table.write_text(f"{key}\t{ANSWER}\n" if full else "")
    subprocess.run([POSTMAP, f"lmdb:{table}"], check=True)
    return True


def main(arguments: Sequence[str]) -> None:
    """Do so once, as the configuration in the one argument says."""
    (path,) = arguments
    config = load(Config, path)
    folder, table = Path(config.folder), Path(config.table)
    now = time.time()
    since = begun(table.with_name(MARK), now)
    deleted = expire(folder, config.keep_days, now, since)
    if deleted:
        print(f"{deleted} mails older than {config.keep_days} days deleted")
    used = size(folder)
    full = used >= config.megabytes << 20
    if tell(table, config.key, full) or full:
        state = "full: port 25 answers 452" if full else "open"
        print(f"{folder} holds {used >> 20} of {config.megabytes} MB, {state}")
