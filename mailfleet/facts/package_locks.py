"""What keeps apt and dpkg busy on a host: the processes that hold their locks, and first-boot work."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.facts.processes import PROCESS

_LOCKS = (
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
)
# Units that take and leave the locks again and again until they are done. Between two stages of
# cloud-init the next one waits among systemd's jobs; where none does, cloud-init has died.
_UNITS = (
    "cloud-init-local.service", "cloud-init-main.service", "cloud-init.service",
    "cloud-init-network.service", "cloud-config.service", "cloud-final.service",
    "apt-daily.service", "apt-daily-upgrade.service",
)  # fmt: skip
_LINKS = " -o ".join(f"-lname {path}" for path in _LOCKS)

HOLDERS = f"""\
{PROCESS}
holders() {{
  find /proc/[0-9]*/fd \\( {_LINKS} \\) -printf '%p %l\\n' 2>/dev/null | while read -r link lock; do
    pid=${{link#/proc/}} pid=${{pid%%/*}}
    # Who only asks whether it is free has the file open as well.
    grep -qE "POSIX .*WRITE $pid " /proc/locks || continue
    state=$(sed -n 's/^State:[[:space:]]*\\(.\\).*/\\1/p' "/proc/$pid/status" 2>/dev/null)
    printf 'lock|%s|%s|%s|%s|%s\\n' "$lock" "$pid" "$(unit_of "$pid")" "$state" "$(command_of "$pid")"
  done
  systemctl list-units --all --plain --no-legend --state=activating -- {" ".join(_UNITS)} 2>/dev/null |
    while read -r unit rest; do printf 'unit|%s\\n' "$unit"; done
  if [ -e /run/cloud-init/status.json ] && [ ! -e /run/cloud-init/result.json ] &&
    systemctl list-jobs --plain --no-legend | grep -qE ' cloud-(init|config|final)'; then
    printf 'unit|cloud-init\\n'
  fi
}}"""
"""Shell: beside those of PROCESS the function `holders`, which prints a row for each lock and each unit."""


@dataclass(frozen=True)
class LockHolder:
    """A process that holds a lock, or, with pid 0, a unit that is still at work."""

    unit: str
    pid: int = 0
    lock: str = ""
    stopped: bool = False
    """Whether somebody has stopped the process, so that it never ends by itself."""
    command: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return f"{self.unit} is still at work"
        parts = [f"pid {self.pid}", self.unit, "stopped" if self.stopped else ""]
        details = ", ".join(part for part in parts if part)
        return f"{self.command or 'a process'} ({details}) holds {self.lock}"

    @property
    def remedy(self) -> str:
        """What an operator can do about it."""
        if self.unit.startswith("cloud-"):
            return "see 'cloud-init status --long'"
        if self.unit.endswith(".service"):
            return f"see 'systemctl status {self.unit}', and stop it if it will not end"
        if self.stopped:
            return (
                f"let it go on with 'kill -CONT {self.pid}', or end it with 'kill -KILL {self.pid}'"
            )
        return f"let it end, or stop it with 'kill {self.pid}'"


class PackageLocks(FactBase[list[LockHolder]]):
    """Everybody who keeps apt from working; empty where it is free."""

    def command(self) -> StringCommand:
        return StringCommand("sh", "-c", QuoteString(f"{HOLDERS}\nholders; true"))

    @staticmethod
    def default() -> list[LockHolder]:
        return []

    def process(self, output: list[str]) -> list[LockHolder]:
        by_process: dict[tuple[int, str], LockHolder] = {}
        for line in output:
            if line.startswith("lock|"):
                _, lock, pid, unit, state, command = line.split("|", 5)
                holder = LockHolder(unit, int(pid), lock, state in ("T", "t"), command.strip())
                by_process.setdefault((holder.pid, ""), holder)
            elif line.startswith("unit|"):
                unit = line.removeprefix("unit|")
                by_process.setdefault((0, unit), LockHolder(unit))
        return list(by_process.values())
