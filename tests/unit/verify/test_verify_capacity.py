"""Free space, the clock and the resolver of a host: what is said of what its tools print."""

from __future__ import annotations

import subprocess

import pytest

from mailfleet.verify import capacity, resolver

pytestmark = pytest.mark.unit

HEAD = "    Avail    IFree   Inodes Mounted on\n"


def test_room_is_no_problem() -> None:
    output = HEAD + "80000000000 15000000 16000000 /\n" * 3 + "1000000000 5 100 /var/spool\n"
    assert capacity.space_problems(output) == []


def test_a_full_file_system_is_named_once() -> None:
    (message,) = capacity.space_problems(HEAD + "999999999 100 100 /var/spool/a b\n" * 2)
    assert message.startswith("/var/spool/a b has 1000 MB free, expected 1000")
    assert "'du -xh /var/spool/a b | sort" in message


def test_a_file_system_for_temporary_files_may_be_smaller() -> None:
    assert capacity.space_problems(HEAD + "200000000 100 100 /tmp\n") == []
    (message,) = capacity.space_problems(HEAD + "199000000 100 100 /tmp\n")
    assert message.startswith("/tmp has 199 MB free, expected 200: ")


def test_inodes_count_too() -> None:
    (message,) = capacity.space_problems(HEAD + "80000000000 4 100 /\n")
    assert message.startswith("/ has 4 of 100 inodes free, expected 5%")
    # btrfs tells no numbers of inodes.
    assert capacity.space_problems(HEAD + "80000000000 0 0 /\n80000000000 - - /a\n") == []


def test_what_df_really_prints() -> None:
    done = subprocess.run(["sh", "-c", capacity.SPACE], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert rows
    assert all(row[0].isdigit() and row[3].startswith("/") for row in rows)


@pytest.mark.parametrize("clock", ["1000.5", "990.5", "1019.9\n"])
def test_a_clock_that_agrees(clock: str) -> None:
    assert capacity.clock_problems(clock, 1000.0, 1010.0) == []


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("989.0", "11 s behind this machine's"),
        ("8210", "7200 s ahead of this machine's"),
        ("", "the host does not tell its time: nothing"),
        ("date: not found", "the host does not tell its time: date: not found"),
    ],
)
def test_a_clock_that_does_not(clock: str, words: str) -> None:
    (message,) = capacity.clock_problems(clock, 1000.0, 1010.0)
    assert words in message


def test_a_resolver_that_answers() -> None:
    output = "127.0.0.1 NOERROR validated\n::1 NOERROR validated\n"
    assert resolver.problems(output) == []
    assert not resolver.is_silent(output)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("127.0.0.1 silent\n", "the resolver at 127.0.0.1 does not answer"),
        ("127.0.0.1 timeout unvalidated", "cannot look up the root's name servers (timeout)"),
        ("127.0.0.1 SERVFAIL unvalidated", "cannot look up the root's name servers (SERVFAIL)"),
        ("127.0.0.1 NOERROR unvalidated", "does not validate"),
        ("Traceback\ndns.resolver.NoResolverConfiguration", "/etc/resolv.conf names no server"),
    ],
)
def test_a_resolver_that_does_not(output: str, words: str) -> None:
    (message,) = resolver.problems(output)
    assert words in message
    assert resolver.is_silent(output) == ("silent" in output)


def test_one_of_two_servers_is_enough_to_go_on() -> None:
    output = "127.0.0.1 silent\n::1 NOERROR validated\n"
    assert not resolver.is_silent(output)
    assert len(resolver.problems(output)) == 1


def test_the_question_is_a_program_that_runs() -> None:
    program = resolver.COMMAND.removeprefix("python3 -I -c ").strip("'")
    compile(program, "resolver", "exec")
