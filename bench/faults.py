"""Whether accepted mail survives: numbered messages while scanners and signer are killed at random."""

from __future__ import annotations

import json
import random
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import bypass, site
from bench.figures import Figure, Result, Target

NAME = "faults"
_MESSAGES = 20_000
_SEED = 20261122
_SINK = "mailfleet-faults-sink"
_DUMP = "/var/tmp/mailfleet-faults"  # noqa: S108 - on the receiver, a host of the lab
_UNITS = (
    "amavis.service",
    "clamav-daemon.service",
    "opendkim@marketing.service",
    "mailfleet-message@marketing.service",
    "postfix-mta-sts-resolver.service",
)
_PORTS = {"unscanned": 10035, "scanned": 10036}
_INSTANCE = "postfix-marketing"
_QUEUES = ("incoming", "active", "deferred")
_SENDER = "news@news.shop.test"
_PATIENCE = 900.0

On = Callable[[str, str], str]
"""Runs a shell script on a host as root, and returns what it prints."""


@dataclass(frozen=True)
class Outcome:
    """`delivered` counts each identifier; `kills` each unit; `replies` each port's reply codes."""

    acked: dict[str, list[str]]
    delivered: dict[str, int]
    kills: dict[str, int]
    replies: dict[str, int]
    seconds: float

    @property
    def lost(self) -> list[str]:
        """What was accepted and never arrived."""
        return sorted(
            one for accepted in self.acked.values() for one in accepted if one not in self.delivered
        )

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in self.delivered.values())


def run() -> Result:
    with site.deployed():
        site.say(f"faults: {_MESSAGES} messages, seed {_SEED}")
        found = measure(_on, bypass.HOST, bypass.unit(_INSTANCE), _MESSAGES, _SEED)
    accepted = sum(len(one) for one in found.acked.values())
    later = sum(n for reply, n in found.replies.items() if not reply.endswith(" 250"))
    kills = ", ".join(f"{unit} {count}" for unit, count in sorted(found.kills.items()))
    return Result(
        NAME,
        f"{_MESSAGES} numbered messages of 5 kB into one stream's instance of mta1.eu, every other one "
        "through the scanner (viruses), 20 sessions, each tried again until it has its 250. Meanwhile "
        f"the main process of a unit is killed (SIGKILL) every 0.5 to 3 s, at random with the seed "
        f"{_SEED}: {kills}. Then all that smtp-sink got is counted.",
        (
            Figure("accepted (250) and never delivered", len(found.lost), "", Target("at most", 0)),
            Figure("accepted (250)", accepted),
            Figure("delivered more than once", found.duplicates),
            Figure("kills", sum(found.kills.values())),
            Figure("attempts put off (4xx) or cut off", later),
            Figure("duration", found.seconds, "s"),
        ),
    )


def _on(host: str, script: str) -> str:
    return site.on(host, script, patience=3600)


def measure(
    on: On, host: str, unit: str, count: int, seed: int, pause: tuple[float, float] = (0.5, 3)
) -> Outcome:
    """Submit `count` messages on `host`, whose instance runs as `unit`, amid kills; then compare.

    `pause`: the least and the most seconds between two kills.
    """
    mark = f"f{seed}n{count}"
    _prepare(on, host, unit)
    kills: dict[str, int] = {}
    done = threading.Event()
    killer = threading.Thread(target=_kill, args=(on, host, seed, pause, kills, done))
    began = time.monotonic()
    killer.start()
    try:
        answer = json.loads(on(host, _client(count, mark)).splitlines()[-1])
    finally:
        done.set()
        killer.join()
    seconds = time.monotonic() - began
    delivered = _delivered(on, host, mark, sum(len(one) for one in answer["acked"].values()))
    return Outcome(answer["acked"], delivered, kills, answer["replies"], seconds)


def clean(on: On, host: str, unit: str) -> None:
    """End the sink; a deploy does the rest."""
    on("receiver", f"systemctl stop {_SINK} || true; rm -f {_DUMP}")
    on(host, f"systemctl restart {unit}")


def _prepare(on: On, host: str, unit: str) -> None:
    # The stream itself is scanned in full; for viruses alone there are more messages in a minute.
    unscanned = ("smtpd_milters=$message_check,$signer,$signed_check",)
    lines = bypass.listener(_INSTANCE, _PORTS["unscanned"], unscanned)
    banks = ("milter_macro_daemon_name=OUTBOUND,VIRUS",)
    lines += bypass.listener(_INSTANCE, _PORTS["scanned"], banks)
    route = f"relayhost=[{site.RECEIVER}]:{bypass.SINK_PORT}"
    lines.append(
        f"postconf -c /etc/{_INSTANCE} -e {route} minimal_backoff_time=5s queue_run_delay=5s"
    )
    on("receiver", f"""\
systemctl stop {_SINK} 2>/dev/null || true
rm -f {_DUMP}
systemd-run -q --unit={_SINK} /usr/sbin/smtp-sink -u postfix -D {_DUMP} 0.0.0.0:{bypass.SINK_PORT} 500
until [ "$(ss -Hltn sport = :{bypass.SINK_PORT})" ]; do sleep 0.1; done""")  # fmt: skip
    on(host, "\n".join(["set -e", *lines, f"systemctl restart {unit}"]))


def _client(count: int, mark: str) -> str:
    ask = {
        "ports": _PORTS,
        "sender": _SENDER,
        "recipient": bypass.RECIPIENT,
        "count": count,
        "sessions": 20,
        "size": 5000,
        "mark": mark,
    }
    source = Path(__file__).with_name("faults_client.py").read_text(encoding="utf-8")
    return f"python3 -c {shlex.quote(source)} {shlex.quote(json.dumps(ask))}"


def _kill(
    on: On,
    host: str,
    seed: int,
    pause: tuple[float, float],
    kills: dict[str, int],
    done: threading.Event,
) -> None:
    # The scanners' milters and whatever agent runs there are ours by their name.
    named = on(host, "systemctl list-units -q --plain --no-legend 'mailfleet-*.service'")
    units = [*_UNITS, *sorted(line.split()[0] for line in named.splitlines() if line.strip())]
    chance = random.Random(seed)
    while not done.wait(chance.uniform(*pause)):
        unit = chance.choice(units)
        said = on(host, f"systemctl kill --kill-whom=main -s KILL {unit} 2>&1 || echo not running")
        if not said.strip():
            kills[unit] = kills.get(unit, 0) + 1


def _delivered(on: On, host: str, mark: str, least: int) -> dict[str, int]:
    """How often each identifier arrived, once the queue is empty."""
    until = time.monotonic() + _PATIENCE
    while True:
        on(host, f"postqueue -c /etc/{_INSTANCE} -f")
        queues = " ".join(f"/var/spool/{_INSTANCE}/{name}" for name in _QUEUES)
        left = on(host, f"find {queues} -type f | wc -l")
        lines = on("receiver", f"sed -n 's/^X-Fault: //p' {_DUMP}").split()
        counted: dict[str, int] = {}
        for line in lines:
            if line.startswith(mark):
                counted[line] = counted.get(line, 0) + 1
        if (int(left) == 0 and len(counted) >= least) or time.monotonic() > until:
            return counted
        if int(left) == 0 and time.monotonic() > until - _PATIENCE + 60:
            return counted
        time.sleep(1)
