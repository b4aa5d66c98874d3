"""How long a lab takes to come up, its images being there."""

from __future__ import annotations

import statistics
import time

from bench import site
from bench.figures import Figure, Result, Target

NAME = "lab-up"
_ROUNDS = 7


def run() -> Result:
    """Up and down, several times; the first round may have to build images and does not count."""
    ups, downs = [], []
    try:
        site.down()
        for number in range(_ROUNDS + 1):
            began = time.monotonic()
            site.up()
            answered = time.monotonic()
            site.down()
            if number:
                ups.append(answered - began)
                downs.append(time.monotonic() - answered)
    finally:
        site.down()
    site.say(f"lab-up: {statistics.median(ups):.1f} s, down {statistics.median(downs):.1f} s")
    return Result(
        NAME,
        "`lab.up` of two mail hosts, name server and receiver until all of them answer, from images "
        f"that are there; {_ROUNDS} rounds.",
        (
            Figure("lab up, median", statistics.median(ups), "s", Target("at most", 8)),
            Figure("lab up, slowest", max(ups), "s"),
            Figure("lab down, median", statistics.median(downs), "s"),
        ),
    )
