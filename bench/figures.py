"""What a benchmark returns, and how it reads as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """The figure to reach: at most or at least `limit`."""

    kind: Literal["at most", "at least"]
    limit: float

    def met_by(self, value: float) -> bool:
        return value <= self.limit if self.kind == "at most" else value >= self.limit


@dataclass(frozen=True)
class Figure:
    """One measured value. Without a target it stands there to be compared with."""

    what: str
    value: float
    unit: str = ""
    target: Target | None = None
    censored: bool = False
    """The measurement was given up at `value`: the true one is greater."""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no target."""
        if self.target is None:
            return ""
        return "met" if self.target.met_by(self.value) else "missed"

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "censored": self.censored,
            "target": f"{self.target.kind} {self.target.limit:g}" if self.target else None,
            "verdict": self.verdict or None,
        }


@dataclass(frozen=True)
class Result:
    """One benchmark's figures. `method` says what was measured and how, in whole sentences."""

    name: str
    method: str
    figures: tuple[Figure, ...]


def table(result: Result) -> str:
    """The figures as a Markdown table."""
    rows = [("what", "measured", "to reach", "")]
    for figure in result.figures:
        shown = ("> " if figure.censored else "") + _number(figure.value, figure.unit)
        wanted = ""
        if figure.target is not None:
            wanted = f"{figure.target.kind} {_number(figure.target.limit, figure.unit, exact=True)}"
        rows.append((figure.what, shown, wanted, figure.verdict))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| --- | ---: | --- | --- |", *lines[1:]]) + "\n"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The median of the ratios of values that were measured one right after the other."""
    return statistics.median(first / second for first, second in pairs)


def _number(value: float, unit: str, *, exact: bool = False) -> str:
    if exact or value == int(value):
        text = f"{value:g}"
    else:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        text = f"{value:.{digits}f}"
    return text + (unit if unit == "x" else f" {unit}" if unit else "")
