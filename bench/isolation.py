"""Transactional mail while 25,000 marketing messages wait: separate instances, and a single one."""

from __future__ import annotations

from bench import bypass, probe, site
from bench.figures import Figure, Result, Target, percentile

NAME = "isolation"
_WAITING = 25_000
_MESSAGES = 300
_ROUNDS = 3
_PATIENCE = 60.0
_TRANSACTIONAL = "postfix-transactional"
_MARKETING = "postfix-marketing"
_OFFSET = 10
"""Of the marketing instance's ports against the transactional one's."""
_BULK = "someone@bulk.test"


def run() -> Result:
    """Idle and loaded in turns: the marketing instance is stopped, then started with its queue."""
    idle: list[float] = []
    loaded: list[float] = []
    with site.deployed(), probe.listening() as sink:
        _prepare()
        _fill(_MARKETING, "news@news.shop.test", bypass.UNSIGNED + _OFFSET)
        unit = bypass.unit(_MARKETING)
        for number in range(_ROUNDS):
            site.on(bypass.HOST, f"systemctl stop {unit}")
            idle += _sample(sink, _MESSAGES)
            site.on(bypass.HOST, f"systemctl start {unit}")
            _await_full(_MARKETING)
            loaded += _sample(sink, _MESSAGES)
            site.say(
                f"isolation, round {number + 1} of {_ROUNDS}: p99 {_ms(idle, 0.99):.0f} ms idle, "
                f"{_ms(loaded, 0.99):.0f} ms loaded"
            )
        site.on(bypass.HOST, f"systemctl stop {unit}")
        _fill(_TRANSACTIONAL, "orders@shop.test", bypass.UNSIGNED)
        single = _sample(sink, 20)
    return Result(NAME, _method(), _figures(idle, loaded, single))


def _method() -> str:
    return (
        f"Signed transactional messages of 5 kB into mta1.eu, one after the other, each from MAIL FROM "
        f"until the sink has it; {_ROUNDS * _MESSAGES} of them idle and {_ROUNDS * _MESSAGES} while "
        f"{_WAITING} marketing messages wait in the marketing instance, held back by a rate delay of "
        f"1 s, in {_ROUNDS} turns. At last the same marketing messages in the transactional instance, "
        "with a transport of their own that has the same rate delay: a single Postfix for both; "
        f"given up after {_PATIENCE:.0f} s."
    )


def _figures(idle: list[float], loaded: list[float], single: list[float]) -> tuple[Figure, ...]:
    ratio = percentile(loaded, 0.99) / percentile(idle, 0.99)
    given_up = max(single) >= _PATIENCE
    return (
        Figure("p99 with marketing waiting / p99 idle", ratio, "x", Target("at most", 2)),
        Figure("p50 idle", _ms(idle, 0.5), "ms"),
        Figure("p99 idle", _ms(idle, 0.99), "ms"),
        Figure("p50 with marketing waiting", _ms(loaded, 0.5), "ms"),
        Figure("p99 with marketing waiting", _ms(loaded, 0.99), "ms"),
        Figure("a single instance for both, p50", _ms(single, 0.5), "ms", censored=given_up),
    )


def _ms(values: list[float], share: float) -> float:
    return percentile(values, share) * 1000


def _prepare() -> None:
    """Both instances deliver to the sink, marketing's mail at one message a second."""
    route = f"relayhost=[{probe.ADDRESS}]:{probe.PORT}"
    bypass.open_instance(
        _TRANSACTIONAL,
        settings=(
            route,
            "in_flow_delay=0",
            f"transport_maps=inline:{{bulk.test=slow:[{probe.ADDRESS}]:{probe.PORT}}}",
            "slow_destination_rate_delay=1s",
        ),
        services=("slow unix - - n - - smtp",),
    )
    bypass.open_instance(
        _MARKETING,
        offset=_OFFSET,
        settings=(route, "in_flow_delay=0", "default_destination_rate_delay=1s"),
    )


def _fill(instance: str, sender: str, port: int) -> None:
    site.say(f"isolation: {_WAITING} marketing messages for {instance}")
    site.on(bypass.HOST, bypass.source(sender, _WAITING, 5000, port, _BULK))
    _await_full(instance)


def _await_full(instance: str) -> None:
    """Return once the queue manager has taken as many as it ever holds: 20,000 by default."""
    site.on(
        bypass.HOST,
        f"until [ $(find /var/spool/{instance}/active -type f | wc -l) -ge 19900 ]; do :; done",
    )


def _sample(sink: probe.Sink, count: int) -> list[float]:
    return probe.latencies(
        sink, bypass.SIGNED, "orders@shop.test", bypass.RECIPIENT, count, _PATIENCE
    )
