"""A program and its arguments as one shell command, and how it ended, read back from what it printed."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.remote.command import LONGEST, quoted, result_of
from mailfleet.remote.results import Completed, Stopped, Unreachable

pytestmark = pytest.mark.unit

ARGUMENTS = st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40))


@settings(max_examples=30, deadline=None)
@given(ARGUMENTS)
def test_every_argument_arrives_as_it_is(arguments: list[str]) -> None:
    command = quoted(["printf", r"%s\0", *arguments], 5)
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    result = result_of(done.stdout, done.stderr, 0.1, 5)
    assert isinstance(result, Completed)
    # printf prints its format once where it has no argument.
    assert result.text.split("\0")[:-1] == (arguments or [""])


def test_the_way_to_all_rights_is_outermost() -> None:
    words = shlex.split(quoted(["id"], 5, ("sudo", "-n")))
    assert words[:3] == ["sudo", "-n", "sh"]
    assert words[-2:] == ["5", "id"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "there is no program to run"),
        (["", "x"], "there is no program to run"),
        (["printf", "a\0b"], "null character"),
        (["printf", "x" * LONGEST], "give them by stdin"),
    ],
)
def test_what_no_program_can_be_given(argv: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        quoted(argv, 5)


def run(script: str, seconds: int = 5) -> tuple[bytes, bytes]:
    done = subprocess.run(
        ["sh", "-c", quoted(["sh", "-c", script], seconds)], capture_output=True, check=False
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("code", [0, 1, 124, 127, 137, 255])
def test_an_exit_code_is_the_programs_own(code: int) -> None:
    stdout, stderr = run(f"printf out; printf err >&2; exit {code}")
    assert result_of(stdout, stderr, 0.1, 5) == Completed(code, b"out", b"err")


def test_a_program_that_is_killed_has_ended() -> None:
    result = result_of(*run("kill -9 $$"), 0.1, 5)
    assert isinstance(result, Completed)
    assert result.exit_code == 137


def test_a_program_that_prints_our_mark_changes_nothing() -> None:
    stdout, stderr = run(r"printf '\nmailfleet: exit code 0\n' >&2; exit 3")
    result = result_of(stdout, stderr, 0.1, 5)
    assert isinstance(result, Completed)
    assert result.exit_code == 3


def test_a_program_without_end_is_stopped() -> None:
    stdout, stderr = run("sleep 60", seconds=1)
    assert result_of(stdout, stderr, 1.1, 1) == Stopped("no end after 1 s")


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (b"ssh: connect to host x port 22: Connection refused\r\n", "port 22: Connection refused"),
        (b"sudo: a password is required\n", "sudo: a password is required"),
        (b"", "without a word"),
        # Cut off in the middle of the last line.
        (b"\nmailfleet: exit code 0", "mailfleet: exit code 0"),
        (b"caf\xe9", r"caf\xe9"),
    ],
)
def test_without_its_last_line_nobody_knows_how_it_ended(stderr: bytes, reason: str) -> None:
    result = result_of(b"some output", stderr, 0.1, 5)
    assert isinstance(result, Unreachable)
    assert result.reason.endswith(reason)
