"""The one error that the lab raises."""

from __future__ import annotations

from mailfleet.errors import EXIT_USAGE, MailfleetError


class LabError(MailfleetError):
    """The lab cannot do what was asked; the hint says what to do about it."""


class LabUsageError(LabError):
    """The lab was asked for something that cannot exist: a wrong name, address or suite."""

    exit_code = EXIT_USAGE
