"""pyinfra's command line: what -v and --debug ask it to show."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mailfleet.remote.pyinfra import command_line

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("level", "shown"),
    [(logging.WARNING, set()), (logging.INFO, set()), (logging.DEBUG, {"-vv"})],
)
def test_pyinfra_shows_what_was_asked_for_and_never_passwords(
    caplog: pytest.LogCaptureFixture, level: int, shown: set[str]
) -> None:
    with caplog.at_level(level, "mailfleet"):
        command = command_line("inventories/prod", Path("deploys/mta.py"), "eu", "--dry")
    assert {word for word in command if word.startswith(("-v", "--debug"))} == shown
    assert command[-2:] == ["--limit", "eu"]
    assert "--dry" in command
