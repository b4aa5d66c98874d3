"""What the API is still busy with: it answers before a change is done."""

from __future__ import annotations

from typing import Any, cast

from hcloud.actions import BoundAction

from mailfleet.apis.hetzner.client import Connection
from mailfleet.errors import MailfleetError

_DEADLINE = 300.0
_FIRST_POLL = 0.5
_SLOWEST_POLL = 5.0
# The API's page: asked for more, it might answer in part.
_AT_ONCE = 25


class Actions:
    """What the API is still busy with, and what of it has failed."""

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._running: dict[int, str] = {}
        self._failed: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._running)

    def add(self, action: BoundAction, what: str) -> None:
        """An action as a write's answer brings it."""
        model = action.data_model
        self._note(model.id, str(model.status), cast(Any, model.error), what)

    def wait(self) -> None:
        """Return when all are finished; MailfleetError where one failed or does not end."""
        clock = self._connection.clock
        until, pause = clock.now() + _DEADLINE, _FIRST_POLL
        while self._running:
            if clock.now() > until:
                raise self._endless()
            clock.pause(pause)
            pause = min(pause * 2, _SLOWEST_POLL)
            running = list(self._running)
            for at in range(0, len(running), _AT_ONCE):
                self._poll(running[at : at + _AT_ONCE])
        if self._failed:
            text, self._failed = "; ".join(self._failed), []
            raise MailfleetError(
                f"cannot change {self._subject} at hetzner: {text}",
                "the change was accepted, then failed at Hetzner: run the command again",
            )

    def finish(self, problem: MailfleetError | None) -> None:
        """Wait, also after a failure, and raise it then: nothing may be under way at the end."""
        try:
            self.wait()
        except MailfleetError as error:
            problem = problem or error
        if problem is not None:
            raise problem

    def _poll(self, ids: list[int]) -> None:
        answer = self._connection.ask(
            f"follow the changes to {self._subject}",
            lambda: self._connection.client.request("GET", "/actions", params={"id": ids}),
        )
        for action in answer["actions"]:
            what = self._running.pop(action["id"], "")
            self._note(action["id"], action["status"], action["error"], what)

    def _note(self, number: int, status: str, error: dict[str, Any] | None, what: str) -> None:
        if status == "running":
            self._running[number] = what
        elif status == "error":
            self._failed.append(f"{what}: {(error or {}).get('message', 'no reason given')}")

    def _endless(self) -> MailfleetError:
        waiting = ", ".join(sorted(set(self._running.values())))
        problem = f"Hetzner has not finished these changes to {self._subject} yet: {waiting}"
        self._running.clear()
        return MailfleetError(problem, "wait some minutes, then run the command again")
