"""Signed against unsigned relay: smtp-source → a stream's instance → smtp-sink."""

from __future__ import annotations

import statistics
import subprocess
import time

from bench import bypass, site
from bench.figures import Figure, Result, Target, median_ratio

NAME = "relay"
_INSTANCE = "postfix-transactional"
_SENDER = "orders@shop.test"
_ROUNDS = 5
_MESSAGES = 4000
_SIZE = 10_000
_PATIENCE = 180


def run() -> Result:
    """Measure in turns, signed first in one round, unsigned first in the next."""
    with site.deployed():
        prepare()
        for port, wanted in ((bypass.SIGNED, True), (bypass.UNSIGNED, False)):
            if bypass.is_signed(_SENDER, port) != wanted:
                raise site.BenchError(f"port {port}: the message is {'not ' * wanted}signed")
        rates = measure(_ROUNDS, _MESSAGES)
    signed = [pair[0] for pair in rates]
    unsigned = [pair[1] for pair in rates]
    return Result(
        NAME,
        f"smtp-source → the transactional instance of mta1.eu → smtp-sink: {_MESSAGES} messages of "
        f"{_SIZE // 1000} kB, 20 sessions, from the first connection until the sink has the last "
        f"message; medians of {_ROUNDS} rounds. The same instance with and without `smtpd_milters`; "
        "the ratio is the median of the rounds' ratios. Source, host and sink share the cores.",
        (
            Figure("signed / unsigned", median_ratio(rates), "", Target("at least", 0.5)),
            Figure("signed", statistics.median(signed), "messages/s"),
            Figure("unsigned", statistics.median(unsigned), "messages/s"),
        ),
    )


def prepare() -> None:
    """Open the instance to smtp-source, and send everything to the sink."""
    route = f"relayhost=[{site.RECEIVER}]:{bypass.SINK_PORT}"
    bypass.open_instance(_INSTANCE, settings=(route,))


def measure(rounds: int, messages: int) -> list[tuple[float, float]]:
    """Messages per second, (signed, unsigned) of each round, after a short one to warm up."""
    for port in (bypass.SIGNED, bypass.UNSIGNED):
        rate(port, messages // 8)
    pairs = []
    for number in range(rounds):
        order = [bypass.SIGNED, bypass.UNSIGNED]
        rates = {port: rate(port, messages) for port in (order if number % 2 else order[::-1])}
        pairs.append((rates[bypass.SIGNED], rates[bypass.UNSIGNED]))
        site.say(
            f"relay, round {number + 1} of {rounds}: {pairs[-1][0]:.0f} signed/s, "
            f"{pairs[-1][1]:.0f} unsigned/s"
        )
    return pairs


def rate(port: int, messages: int) -> float:
    """Messages per second from smtp-source's start until the sink has them all."""
    with bypass.sink(messages) as process:
        began = time.monotonic()
        site.on(bypass.HOST, bypass.source(_SENDER, messages, _SIZE, port))
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise site.BenchError(f"port {port}: the sink never had all {messages}") from None
        return messages / (time.monotonic() - began)
