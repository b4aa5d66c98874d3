"""Running on many hosts at once, which a fake connector has on this machine."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.remote import run as module
from mailfleet.remote.results import Completed, Result, Stopped, Unreachable, output_of, problem
from mailfleet.remote.run import run

pytestmark = pytest.mark.unit


class Here:
    """Every host is this machine, unless `lines` has another way to reach it."""

    def __init__(self, lines: Mapping[str, Sequence[str]] | None = None) -> None:
        self._lines = lines or {}

    def become(self, host: str) -> Sequence[str]:
        return ("env", f"HOST={host}")

    def argv(self, host: str, command: str) -> Sequence[str]:
        return self._lines.get(host, ("sh", "-c", command))


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_each_host_has_its_own_result() -> None:
    ways = {
        "away": ("sh", "-c", "echo ssh: no route to host >&2; exit 255"),
        "none": ("/nonexistent/ssh",),
    }
    script = 'printf "$HOST"; [ "$HOST" = good ] || { echo "no such queue" >&2; exit 3; }'
    results = run(Here(ways), ("good", "bad", "away", "none"), ("sh", "-c", script))
    assert results == {
        "good": Completed(0, b"good", b""),
        "bad": Completed(3, b"bad", b"no such queue\n"),
        "away": Unreachable("ssh: no route to host"),
        "none": Unreachable("/nonexistent/ssh cannot be started: No such file or directory"),
    }
    assert list(results) == ["good", "bad", "away", "none"]
    assert [problem(result) for result in results.values()] == [
        "",
        "no such queue",
        "ssh: no route to host",
        "/nonexistent/ssh cannot be started: No such file or directory",
    ]


def test_no_host_is_an_error() -> None:
    with pytest.raises(MailfleetError, match="there is no host to run on"):
        run(Here(), (), ("true",))


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_stdin_and_stdout_carry_any_octets(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    results = run(Here(), ("a", "b"), ("cat",), stdin=content[:size])
    assert {*results.values()} == {Completed(0, content[:size], b"")}


def test_a_program_need_not_read_its_stdin() -> None:
    assert run(Here(), ("a",), ("true",), stdin=b"x" * 10_000_000)["a"] == Completed(0, b"", b"")


def test_output_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OUTPUT", 100_000)
    results = run(Here(), ("a", "b"), ("sh", "-c", '[ "$HOST" = b ] || yes; echo done'))
    assert results["a"] == Stopped("printed more than 100000 octets")
    assert results["b"] == Completed(0, b"done\n", b"")


def test_a_host_that_hangs_is_given_up_and_nothing_of_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_GRACE", 0)
    # With a child that holds the pipes, as ssh has in ProxyCommand.
    hung = Here({"hung": ("sh", "-c", "sleep 71234 & wait")})
    assert run(hung, ("hung",), ("true",), seconds=1) == {"hung": Stopped("no answer for 1 s")}
    deadline = time.monotonic() + 10
    while (
        subprocess.run(["pgrep", "-xf", "sleep 71234"], stdout=subprocess.DEVNULL).returncode == 0
    ):
        assert time.monotonic() < deadline, "it is still there"


def test_hosts_are_asked_side_by_side_and_not_all_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    for name in ("ever", "now"):
        (tmp_path / name).mkdir()
    # Each waits until three have come, and counts those that are there.
    script = f"""\
cd {tmp_path}
touch ever/$HOST now/$HOST
until [ $(ls ever | wc -l) -ge 3 ]; do :; done
ls now | wc -l
rm now/$HOST
"""
    hosts = [f"mta{number}" for number in range(7)]
    results = run(Here(), hosts, ("sh", "-c", script))
    assert list(results) == hosts
    assert max(int(output_of(host, result)) for host, result in results.items()) == 3


def test_progress_is_told_in_the_order_of_the_ends(tmp_path: Path) -> None:
    seen: list[tuple[str, Result]] = []

    def progress(host: str, result: Result) -> None:
        seen.append((host, result))
        (tmp_path / host).touch()

    wait = f"until [ -e {tmp_path}/fast ]; do :; done"
    script = f'[ "$HOST" = fast ] || {wait}'
    results = run(Here(), ("slow", "fast"), ("sh", "-c", script), progress=progress)
    assert [host for host, _ in seen] == ["fast", "slow"]
    assert dict(seen) == results
    assert list(results) == ["slow", "fast"]


def test_it_runs_in_any_thread() -> None:
    outcome: list[dict[str, Result]] = []
    thread = threading.Thread(target=lambda: outcome.append(run(Here(), ("a",), ("true",))))
    thread.start()
    thread.join()
    assert outcome == [{"a": Completed(0, b"", b"")}]


def test_what_stdin_holds_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        run(Here(), ("a",), ("wc", "-c"), stdin=b"hunter2")
    assert "on 1 hosts: wc -c" in caplog.messages
    assert any(message.startswith("a: exit code 0 after") for message in caplog.messages)
    assert "hunter2" not in caplog.text


def test_a_failure_is_told_with_the_hosts_name() -> None:
    assert output_of("mta1", Completed(0, b"caf\xe9\n", b"")) == "caf\\xe9\n"
    failures: list[tuple[Result, str]] = [
        (Completed(2, b"", b"one\ntwo\n\n"), "mta1 cannot be read: two"),
        (Completed(2, b"", b""), "mta1 cannot be read: exit code 2"),
        (Unreachable("no route"), "mta1 cannot be reached: no route"),
        (Stopped("no end after 5 s"), "mta1 cannot be read: no end after 5 s"),
    ]
    for result, text in failures:
        with pytest.raises(MailfleetError) as caught:
            output_of("mta1", result, "look there")
        assert caught.value.problem == text
        assert caught.value.hint == "look there"
