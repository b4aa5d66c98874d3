"""What scanning costs: the same instance unscanned, scanned for viruses, and in full."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass

from bench import bypass, site
from bench.figures import Figure, Result, Target, median_ratio

NAME = "scan"
_INSTANCE = "postfix-marketing"
_SENDER = "news@news.shop.test"
_ROUNDS = 3
_MESSAGE = "/var/tmp/mailfleet-bench-message"  # noqa: S108 - on a host of the lab
_PATIENCE = 240


# The other stream asks for viruses alone, so that the host has the milter for it as well.
_VIRUS_TOO = ('logins = ["orders"]\n', 'logins = ["orders"]\nscan = "virus"\n')


@dataclass(frozen=True)
class _Mode:
    name: str
    port: int
    messages: int
    alone: int
    """Messages one after the other, for the time of one."""
    settings: str
    """The listener's own setting: what differs from the stream, which is scanned in full."""


_MODES = (
    _Mode("unscanned", 10045, 1000, 200, "smtpd_milters=$message_check,$signer,$signed_check"),
    _Mode(
        "viruses",
        10046,
        1000,
        200,
        "smtpd_milters=$message_check,unix:/run/mailfleet-scan-virus-defer/milter.sock,$signer,$signed_check",
    ),
    _Mode("viruses, by amavis", 10048, 300, 100, "milter_macro_daemon_name=OUTBOUND,VIRUS"),
    _Mode("full", 10047, 60, 30, "milter_macro_daemon_name=OUTBOUND,FULL"),
)
_LEAST = Target("at least", 0.6)
# What a shop writes: 10 kB of words, since SpamAssassin's time depends on them.
_WRITE = f"""\
cat > {_MESSAGE} <<'END'
From: Shop <news@news.shop.test>
To: {bypass.RECIPIENT}
Subject: Your order
Date: Sun, 22 Nov 2026 01:00:00 +0000
Message-ID: <bench@news.shop.test>
MIME-Version: 1.0
Content-Type: text/plain

END
for number in $(seq 75); do
  echo "Dear customer, your order number $number has been shipped and will arrive on Tuesday." \\
    "See https://www.shop.test/orders/$number for details." >> {_MESSAGE}
done
"""
_MEMORY = """\
python3 - <<'END'
import glob, json
sums = {}
for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
    try:
        name = open(path.replace("smaps_rollup", "cmdline")).read().split("\\0")[0].split(" ")[0]
        rows = dict(line.split(":", 1) for line in open(path) if ":" in line and "kB" in line)
        size = int(rows["Pss"].split()[0])
    except (OSError, KeyError):
        continue
    for known in ("amavisd", "clamd", "clamav-milter"):
        if name.endswith(known):
            sums.setdefault(known, []).append(size)
print(json.dumps(sums))
END
"""


def run() -> Result:
    """Measure the modes in turns, in another order in every second round."""
    rates: dict[str, list[float]] = {mode.name: [] for mode in _MODES}
    times: dict[str, list[float]] = {mode.name: [] for mode in _MODES}
    with site.deployed(_VIRUS_TOO):
        _prepare()
        for number in range(_ROUNDS):
            for mode in _MODES if number % 2 else _MODES[::-1]:
                rates[mode.name].append(1 / _seconds(mode.port, mode.messages, sessions=20))
                times[mode.name].append(_seconds(mode.port, mode.alone, sessions=1) * 1000)
            last = ", ".join(f"{values[-1]:.0f} {name}/s" for name, values in rates.items())
            site.say(f"scan, round {number + 1} of {_ROUNDS}: {last}")
        memory: dict[str, list[int]] = json.loads(site.on(bypass.HOST, _MEMORY).splitlines()[-1])
    return Result(NAME, _method(), _figures(rates, times, memory))


def _prepare() -> None:
    lines = [_WRITE]
    for mode in _MODES:
        lines += bypass.listener(_INSTANCE, mode.port, (mode.settings,))
    lines.append(f"postconf -c /etc/{_INSTANCE} -e relayhost=[{site.RECEIVER}]:{bypass.SINK_PORT}")
    site.on(bypass.HOST, "\n".join([*lines, f"systemctl restart {bypass.unit(_INSTANCE)}"]))
    for mode in _MODES:
        _seconds(mode.port, 20, sessions=5)


def _seconds(port: int, messages: int, *, sessions: int) -> float:
    """Seconds for one of so many messages, until the sink has the last."""
    with bypass.sink(messages) as process:
        began = time.monotonic()
        site.on(
            bypass.HOST,
            f"smtp-source -s {sessions} -m {messages} -F {_MESSAGE} -f {_SENDER} "
            f"-t {bypass.RECIPIENT} -M bench.{bypass.HOST} 127.0.0.1:{port}",
        )
        process.wait(_PATIENCE)
        return (time.monotonic() - began) / messages


def _figures(
    rates: dict[str, list[float]], times: dict[str, list[float]], memory: dict[str, list[int]]
) -> tuple[Figure, ...]:
    rate = {name: statistics.median(values) for name, values in rates.items()}
    alone = {name: statistics.median(values) for name, values in times.items()}
    amavis = memory.get("amavisd", [])
    pairs = tuple(zip(rates["viruses"], rates["unscanned"], strict=True))
    return (
        Figure("viruses / unscanned, 20 sessions", median_ratio(pairs), "", _LEAST),
        *(Figure(f"{name}, 20 sessions", value, "messages/s") for name, value in rate.items()),
        *(Figure(f"{name}, one by one", value, "ms a message") for name, value in alone.items()),
        Figure("the scan for viruses adds", alone["viruses"] - alone["unscanned"], "ms a message"),
        Figure("the full scan adds", alone["full"] - alone["unscanned"], "ms a message"),
        Figure(f"amavis, {len(amavis)} processes with SpamAssassin", sum(amavis) / 1024, "MB"),
        Figure("clamav-milter", sum(memory.get("clamav-milter", [])) / 1024, "MB"),
        Figure("clamd with the lab's one signature", sum(memory.get("clamd", [])) / 1024, "MB"),
    )


def _method() -> str:
    return (
        "smtp-source → the marketing instance of mta1.eu, which signs → smtp-sink, with a text of 10 kB: "
        "unscanned, scanned for viruses (clamav-milter, clamd; once more by amavis and clamd, which is what "
        "streams do not do) and in full (amavis, clamd, SpamAssassin without network tests), until the sink "
        f"has the last message; medians of {_ROUNDS} rounds in turns. Once with 20 sessions, "
        "once one message after the other. Memory is proportional (PSS) after the load. "
        "A lab's clamd has one signature; with ClamAV's own, scans take longer and clamd more than 1 GB. "
        "Source, host, scanners and sink share the cores."
    )
