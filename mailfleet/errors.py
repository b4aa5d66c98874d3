"""Errors that a user sees: plain words, where it is wrong and what would be right.

Every error that is meant for a user derives from `MailfleetError`; the command line prints its text
and ends with its `exit_code`. Anything else that reaches a user is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PENDING = 3


class MailfleetError(Exception):
    """Something failed while working; the text says what happened and what to do next."""

    exit_code = EXIT_FAILED

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(f"{problem}\n  hint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class RefusedError(MailfleetError):
    """A provider has answered, and refuses a change; it may well take others."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file: `file: key: text`, the text naming the remedy."""

    file: str
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.text) if part)


class ConfigurationError(MailfleetError):
    """An inventory or a domain file is wrong; carries all problems at once."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
