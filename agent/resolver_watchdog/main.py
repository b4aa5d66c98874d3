"""Ends a resolver that no longer answers, so that systemd starts it again.

    python3 agent.pyz resolver_watchdog CONFIG

Asks the resolver every few seconds for something that it knows by itself (`id.server.`, class
CH, RFC 4892); a refusal is an answer too. Three questions in a row without an answer end the unit's main
process by SIGKILL, which also ends a process that was stopped. systemd's own watchdog is no help: unbound
does not feed it.

Runs as the resolver's own user, whose processes it may signal. Needs python3-dnspython.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

import dns.message

from agent.lib import systemd
from agent.lib.configuration import load
from agent.resolver_watchdog.config import Config

_PAUSE = 5.0
_ANSWER = 5.0  # seconds; a question that needs no other server takes milliseconds
_MISSES = 3


def answers(address: str, port: int = 53) -> bool:
    """Whether the resolver says anything at all, or is not there to hang."""
    query = dns.message.make_query("id.server.", "TXT", "CH").to_wire()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_ANSWER)
        try:
            # Connected, so that the kernel tells where nobody listens: nobody hangs there.
            asking.connect((address, port))
            asking.send(query)
            asking.recv(65535)
        except TimeoutError:
            return False
        except OSError:
            return True
    return True


def main_process(unit: str) -> int:
    """The number of a unit's main process; 0 where it has none."""
    command = ["systemctl", "show", "-P", "MainPID", unit]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return int(output.strip() or 0)


def watch(
    ask: Callable[[], bool], process: Callable[[], int], kill: Callable[[int], None]
) -> Callable[[], bool]:
    """One round as a function: True where it has ended the process."""
    misses = 0
    watched = 0

    def round_() -> bool:
        nonlocal misses, watched
        current = process()
        # A process that is new, or about to start, has not missed anything.
        if current != watched or not current:
            watched, misses = current, 0
        misses = 0 if ask() else misses + 1
        if misses < _MISSES or not current or process() != current:
            return False
        misses = 0
        kill(current)
        return True

    return round_


def main(arguments: Sequence[str]) -> None:
    """Watch the resolver of the configuration in the one argument, for ever."""
    (path,) = arguments
    config = load(Config, path)
    round_ = watch(
        lambda: answers(config.address),
        lambda: main_process(config.unit),
        lambda pid: os.kill(pid, signal.SIGKILL),
    )
    systemd.tell(b"READY=1")
    while True:
        if round_():
            print(
                f"{config.unit} did not answer {_MISSES} times in a row and was ended", flush=True
            )
        time.sleep(_PAUSE)
