"""Submits numbered messages on loopback until each has its 250. Runs on a lab host: standard library only.

Arguments: JSON with `ports` (name to port), `sender`, `recipient`, `count` (of all ports together),
`sessions` and `size`. Prints JSON: `acked` (identifiers by name), `replies` (how often each code).
"""

from __future__ import annotations

import collections
import json
import smtplib
import sys
import threading
import time
from typing import Any

_PATIENCE = 3500.0
_PAUSE = 0.3


def main() -> None:
    ask: dict[str, Any] = json.loads(sys.argv[1])
    names = sorted(ask["ports"])
    waiting = collections.deque(
        (names[number % len(names)], f"{ask['mark']}-{number:06d}")
        for number in range(ask["count"])
    )
    acked: dict[str, list[str]] = {name: [] for name in names}
    replies: collections.Counter[str] = collections.Counter()
    until = time.monotonic() + _PATIENCE

    def work() -> None:
        while True:
            try:
                name, identifier = waiting.popleft()
            except IndexError:
                return
            while time.monotonic() < until:
                said = _submit(ask, ask["ports"][name], identifier)
                replies[f"{name} {said}"] += 1
                if said == "250":
                    acked[name].append(identifier)
                    break
                time.sleep(_PAUSE)

    threads = [threading.Thread(target=work) for _ in range(ask["sessions"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"acked": acked, "replies": dict(replies)}))


def _submit(ask: dict[str, Any], port: int, identifier: str) -> str:
    """The code of the last reply, or "lost" where the connection ended without one."""
    text = (
        f"From: {ask['sender']}\r\nTo: {ask['recipient']}\r\nSubject: Your order\r\n"
        f"X-Fault: {identifier}\r\n\r\n" + "A line about an order.\r\n" * (ask["size"] // 24)
    )
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="faults.test", timeout=300) as smtp:
            smtp.sendmail(ask["sender"], [ask["recipient"]], text)
    except smtplib.SMTPRecipientsRefused as error:
        return str(next(iter(error.recipients.values()))[0])
    except smtplib.SMTPResponseException as error:
        return str(error.smtp_code)
    except (OSError, smtplib.SMTPException):
        return "lost"
    return "250"


if __name__ == "__main__":
    main()
