"""Starting and ending processes as cgroups.

Every process that a lab starts lives in the lab's own cgroup, so ending the lab needs no process
ids: a cgroup cannot be recycled, and nothing that forks or is orphaned escapes it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mailfleet.lab.errors import LabError

_PLACES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# On a machine with both generations systemd-nspawn mirrors its group into this hierarchy.
_LEGACY = Path("/sys/fs/cgroup/systemd")
_TOP = "mailfleet"
# What lives for days must not carry the operator's environment: there may be tokens in it.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED = ("http_proxy", "https_proxy", "no_proxy", "TMPDIR")


def _tree() -> Path:
    for place in _PLACES:
        if (place / "cgroup.procs").exists() and (place / "cgroup.controllers").exists():
            return place / _TOP
    raise LabError(
        "no cgroup2 file system is mounted: Debian 13 cannot boot without one",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    )


def spawn(
    group: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Start `argv` in the cgroup `group` ("lab/host"), detached, its output going to `log`.

    The process outlives us; `kill` ends it together with everything that it starts.
    """
    code = run_inside(group, ["setsid", "--fork", *argv], log=log, environment=environment)
    if code != 0:
        raise LabError(f"cannot start {argv[0]}", f"its output is in {log}")


def run_inside(
    group: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> int:
    """Run `argv` in the cgroup `group` to its end, its output going to `log`; its exit code."""
    folder = _made(_tree() / group)
    # The shell moves itself before it becomes the program: there is no moment outside the group.
    enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    passed = {name: value for name, value in os.environ.items() if name in _PASSED}
    with log.open("ab") as output:
        return subprocess.run(
            ["sh", "-c", enter, str(folder), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": _PATH, **passed, **(environment or {})},
            umask=0o022,
            check=False,
        ).returncode


def populated(group: str) -> bool:
    """Whether any process runs in `group` or below it."""
    try:
        return "populated 1" in (_tree() / group / "cgroup.events").read_text()
    except (FileNotFoundError, OSError):
        return False


def members(group: str) -> tuple[str, ...]:
    """The processes in `group` and below it, each as its name, state and what it waits for."""
    names = []
    for file in (_tree() / group).rglob("cgroup.procs"):
        for pid in file.read_text().split():
            with suppress(OSError):
                process = Path("/proc") / pid
                state = process.joinpath("stat").read_text().rpartition(")")[2].split()[0]
                waits = process.joinpath("wchan").read_text()
                names.append(f"{process.joinpath('comm').read_text().strip()} ({state} {waits})")
    return tuple(sorted(names))


def exists(group: str) -> bool:
    """Whether anything of `group` is there, be it empty."""
    return (_tree() / group).exists()


def await_empty(group: str, seconds: float) -> bool:
    """Wait until nothing runs in `group`; False if that took longer than `seconds`."""
    deadline = time.monotonic() + seconds
    try:
        with (_tree() / group / "cgroup.events").open() as events:
            changes = select.poll()
            changes.register(events, select.POLLPRI)
            while "populated 1" in events.read():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                changes.poll(left * 1000)
                events.seek(0)
    except FileNotFoundError:
        pass
    return True


def terminate(group: str) -> None:
    """Ask the first process of `group` to end; systemd-nspawn shuts its host down in order."""
    folder = _tree() / group
    # systemd-nspawn has moved itself to `supervisor` and its host to `payload`.
    for place in (folder / "supervisor", folder):
        with suppress(FileNotFoundError):
            for line in (place / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(line), signal.SIGTERM)


def kill(group: str, seconds: float = 10) -> None:
    """End every process in `group` and below at once, and remove the group."""
    folder = _tree() / group
    # Again, if something that a killed command had just started came in behind us.
    while folder.exists():
        _kill_all(folder)
        if not await_empty(group, seconds):
            raise LabError(
                f"processes of {group} do not end: {', '.join(members(group))}",
                "a process that waits for a disk ends when the disk answers; then try again",
            )
        _remove(folder)
    _remove(_LEGACY / _TOP / group)
    for top in (_tree(), _LEGACY / _TOP):
        with suppress(OSError):
            top.rmdir()


def _made(folder: Path) -> Path:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:
            # Whoever ends the last group removes the top as well, be it between our two steps.
            continue
        except OSError as error:
            raise LabError(
                f"cannot make the cgroup {folder}: {error.strerror}",
                "root must be allowed to make cgroups; a container must be privileged for that",
            ) from error
        return folder


def _kill_all(folder: Path) -> None:
    switch = folder / "cgroup.kill"
    if switch.exists():
        switch.write_text("1")
        return
    # Linux before 5.14: stop the group first, so that nothing forks while we walk it.
    (folder / "cgroup.freeze").write_text("1")
    for file in folder.rglob("cgroup.procs"):
        for line in file.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)
    (folder / "cgroup.freeze").write_text("0")


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(path)
