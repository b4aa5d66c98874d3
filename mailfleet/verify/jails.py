"""fail2ban's jails, as its server tells them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

_MARK = "--- jail "


def command(jails: Sequence[str]) -> str:
    """Asks the server for all jails, then for each of `jails`."""
    asked = [
        f"echo {shlex.quote(_MARK + jail)}; fail2ban-client status {shlex.quote(jail)}"
        for jail in jails
    ]
    return "; ".join(("fail2ban-client status", *asked))


def problems(planned: Mapping[str, Sequence[str]], output: str) -> list[str]:
    """Jails that are missing or read something else than planned.

    `planned` has the log files of each jail, none for the journal; `said` is what `command` printed.
    """
    general, *single = output.split(_MARK)
    listed = re.search(r"Jail list:\s*(.*)", general)
    if listed is None:
        last = general.strip().splitlines()[-1:] or ["nothing"]
        return [f"fail2ban does not answer: it says {last[0]}"]
    active = {name.strip() for name in listed[1].split(",")}
    texts = [f"the jail {jail} is not active" for jail in planned if jail not in active]
    for text in single:
        jail = text.splitlines()[0].strip()
        if jail not in active:
            continue
        files, journal = _read(text, "File list"), _read(text, "Journal matches")
        wanted = list(planned[jail])
        if wanted and sorted(files.split()) != sorted(wanted):
            texts.append(f"the jail {jail} reads {files or 'no file'}, expected {' '.join(wanted)}")
        if not wanted and "_SYSTEMD_UNIT=ssh.service" not in journal:
            texts.append(
                f"the jail {jail} reads {journal or files or 'nothing'}, "
                "expected the journal of ssh.service"
            )
    return texts


def _read(text: str, what: str) -> str:
    row = re.search(rf"{what}:[ \t]*(.*)", text)
    return row[1].strip() if row else ""
