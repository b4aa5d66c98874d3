"""When the watchdog ends a resolver, and when it leaves it alone."""

from __future__ import annotations

import socket
import threading

import pytest

from agent.resolver_watchdog import main as watchdog

pytestmark = pytest.mark.unit


class Host:
    """A resolver whose answers and process are told beforehand."""

    def __init__(self, answers: str, processes: list[int] | None = None) -> None:
        self._answers = iter(answers)
        self.rounds = len(answers)
        self._processes = iter(processes or [7] * 2 * self.rounds)
        self.killed: list[int] = []

    def run(self) -> list[bool]:
        round_ = watchdog.watch(
            lambda: next(self._answers) == "+", lambda: next(self._processes), self.killed.append
        )
        return [round_() for _ in range(self.rounds)]


def test_three_misses_in_a_row_end_it_once() -> None:
    host = Host("+---+")
    assert host.run() == [False, False, False, True, False]
    assert host.killed == [7]


def test_misses_between_answers_do_not_count() -> None:
    host = Host("--+--+--")
    assert not any(host.run())
    assert host.killed == []


def test_a_new_process_starts_from_nothing() -> None:
    host = Host("----", [7, 7, 8, 8, 8])
    assert not any(host.run())


def test_no_process_is_nothing_to_end() -> None:
    assert Host("-----", [0] * 10).run() == [False] * 5


def test_the_process_of_the_moment_is_the_one_that_was_asked() -> None:
    host = Host("---", [7, 7, 7, 9])
    assert host.run() == [False, False, False]
    assert host.killed == []


def test_silence_an_answer_and_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setattr(watchdog, "_ANSWER", 0.2)
        assert not watchdog.answers("127.0.0.1", port)

        def refuse() -> None:
            # The first is the one that nobody answered.
            for _ in range(2):
                query, client = server.recvfrom(512)
                # The header as it came, as an answer (QR) with REFUSED.
                server.sendto(query[:2] + b"\x80\x05" + query[4:], client)

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setattr(watchdog, "_ANSWER", 30.0)
        assert watchdog.answers("127.0.0.1", port)
        thread.join()
    # A host of one IP version has no resolver at the other's loopback address.
    assert watchdog.answers("127.0.0.1", port)
