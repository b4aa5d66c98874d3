"""Signed against unsigned relay: smtp-source → a stream's instance → smtp-sink."""

from __future__ import annotations

import statistics
import subprocess
import time

from bench import bypass, site
from bench.figures import Figure, Result, Target, median_ratio

NAME = "relay"
_INSTANCE = "postfix-transactional"
_SIGNER_ALONE = bypass.UNSIGNED + 1
_SENDER = "orders@shop.test"
_ROUNDS = 5
_MESSAGES = 4000
_SIZE = 10_000
_PATIENCE = 180


def run() -> Result:
    """Measure in turns, in one round from the first to the last, in the next the other way."""
    with site.deployed():
        prepare()
        for port, wanted in ((bypass.SIGNED, True), (bypass.UNSIGNED, False)):
            if bypass.is_signed(_SENDER, port) != wanted:
                raise site.BenchError(f"port {port}: the message is {'not ' * wanted}signed")
        rates = measure(_ROUNDS, _MESSAGES)
    signed, alone, unsigned = (list(series) for series in zip(*rates, strict=True))
    return Result(
        NAME,
        f"smtp-source → the transactional instance of mta1.eu → smtp-sink: {_MESSAGES} messages of "
        f"{_SIZE // 1000} kB, 20 sessions, from the first connection until the sink has the last "
        f"message; medians of {_ROUNDS} rounds. The same instance with all of `smtpd_milters`, with "
        "OpenDKIM alone (no judge before and after it), and with none; the ratios are the medians of "
        "the rounds' ratios. Source, host and sink share the cores.",
        (
            Figure(
                "signed / unsigned",
                median_ratio(list(zip(signed, unsigned, strict=True))),
                "",
                Target("at least", 0.5),
            ),
            Figure(
                "OpenDKIM alone / unsigned",
                median_ratio(list(zip(alone, unsigned, strict=True))),
                "",
            ),
            Figure("signed", statistics.median(signed), "messages/s"),
            Figure("OpenDKIM alone", statistics.median(alone), "messages/s"),
            Figure("unsigned", statistics.median(unsigned), "messages/s"),
        ),
    )


def prepare() -> None:
    """Open the instance to smtp-source, and send everything to the sink."""
    # What open_instance restarts reads this listener, too.
    alone = bypass.listener(_INSTANCE, _SIGNER_ALONE, ("smtpd_milters=$signer",))
    site.on(bypass.HOST, "\n".join(alone))
    route = f"relayhost=[{site.RECEIVER}]:{bypass.SINK_PORT}"
    bypass.open_instance(_INSTANCE, settings=(route,))


def measure(rounds: int, messages: int) -> list[tuple[float, float, float]]:
    """Messages per second, (signed, OpenDKIM alone, unsigned) of each round, after a short one."""
    ports = (bypass.SIGNED, _SIGNER_ALONE, bypass.UNSIGNED)
    for port in ports:
        rate(port, messages // 8)
    rounds_rates = []
    for number in range(rounds):
        rates = {port: rate(port, messages) for port in (ports if number % 2 else ports[::-1])}
        signed, alone, unsigned = (rates[port] for port in ports)
        rounds_rates.append((signed, alone, unsigned))
        site.say(
            f"relay, round {number + 1} of {rounds}: {signed:.0f} signed/s, {alone:.0f} with OpenDKIM "
            f"alone, {unsigned:.0f} unsigned/s"
        )
    return rounds_rates


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
