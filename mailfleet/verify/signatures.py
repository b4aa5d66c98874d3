"""The age of ClamAV's signatures: old ones find the test virus as well as new ones do."""

from __future__ import annotations

from datetime import UTC, datetime

from mailfleet.host.paths import CLAMAV_DATABASE

# clamd itself warns of a database that is older (libclamav: "older than 7 days").
_DAYS = 7
COMMAND = f"date +%s; stat -L -c %Y {CLAMAV_DATABASE}/daily.c[vl]d"
"""Prints the host's time, and when freshclam last got new signatures, in seconds since 1970."""
_LOOK = "see 'journalctl -u clamav-freshclam' on the host"


def problems(output: str) -> list[str]:
    """What is wrong with the signatures; `said` is what `COMMAND` printed."""
    numbers = [int(line) for line in output.split("\n") if line.strip().isdigit()]
    if len(numbers) < 2:
        return [f"there are no daily signatures in {CLAMAV_DATABASE} yet, {_LOOK}"]
    now, newest = numbers[0], max(numbers[1:])
    if now - newest <= _DAYS * 86_400:
        return []
    day = datetime.fromtimestamp(newest, UTC)
    return [
        f"the virus signatures are of {day:%Y-%m-%d}, expected {_DAYS} days old at most, {_LOOK}"
    ]
