"""`script/bench [NAME...]`: run the benchmarks, print their figures and keep docs/benchmarks.md."""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType

import click

from bench import (
    cold,
    converged,
    dns,
    document,
    faults,
    isolation,
    lab_up,
    peers,
    relay,
    scan,
    site,
)
from bench.figures import Result, table
from mailfleet.errors import EXIT_DONE, MailfleetError

BENCHMARKS = {
    module.NAME: module
    for module in (converged, cold, relay, peers, isolation, scan, faults, lab_up, dns)
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--keep-docs", is_flag=True, help="Leave docs/benchmarks.md as it is.")
def main(names: tuple[str, ...], as_json: bool, keep_docs: bool) -> None:
    """Run the benchmarks NAMES, all of them without a name.

    A missed figure is no failure: it is shown as missed. Needs root, and a quiet machine.
    """
    # `finally` takes the lab down, which a signal would otherwise leave behind.
    signal.signal(signal.SIGTERM, _end)
    measured_on = document.machine()
    results: list[Result] = []
    code = EXIT_DONE
    for name in names or BENCHMARKS:
        try:
            results.append(BENCHMARKS[name].run())
        except MailfleetError as error:
            site.say(f"{name}: {error}")
            code = error.exit_code
            continue
        if not as_json:
            print(f"{name}\n\n{table(results[-1])}", flush=True)
        if not keep_docs:
            document.update(results[-1:], tuple(BENCHMARKS), measured_on)
    if as_json:
        print(json.dumps(_document(results, measured_on), indent=1))
    sys.exit(code)


def _document(results: list[Result], measured_on: str) -> dict[str, object]:
    return {
        "machine": measured_on,
        "benchmarks": {
            result.name: {
                "method": result.method,
                "figures": [figure.to_json() for figure in result.figures],
            }
            for result in results
        },
    }


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
