"""What became of a program on a host: it ended, it was stopped, or it could not be run."""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.errors import MailfleetError


@dataclass(frozen=True)
class Completed:
    """The program ran to its end, with whatever exit code."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """stdout as text; octets that are no UTF-8 are written as `\\xNN`."""
        return self.stdout.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Stopped:
    """The program was ended before its own end: too much time, or too much output."""

    reason: str


@dataclass(frozen=True)
class Unreachable:
    """No connection, no login, no rights; or the connection broke, and what the program did is unknown."""

    reason: str


Result = Completed | Stopped | Unreachable


def problem(result: Result) -> str:
    """Why the program did not do its work, in one line; empty where it ended with exit code 0."""
    if not isinstance(result, Completed):
        return result.reason
    if result.exit_code == 0:
        return ""
    return last_line(result.stderr) or f"exit code {result.exit_code}"


def output_of(host: str, result: Result, hint: str = "") -> str:
    """What the program printed; MailfleetError, which names the host, where it did not end with 0."""
    if isinstance(result, Completed) and result.exit_code == 0:
        return result.text
    words = "cannot be reached" if isinstance(result, Unreachable) else "cannot be read"
    raise MailfleetError(f"{host} {words}: {problem(result)}", hint)


def last_line(text: bytes) -> str:
    """The last line with anything in it, as text."""
    lines = text.decode("utf-8", "backslashreplace").strip().splitlines()
    return lines[-1].strip() if lines else ""
