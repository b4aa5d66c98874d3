"""`recorder.py` for dns/push.py, in a world whose DNS knows one thing: shop.example is signed.

Its name servers have no record yet.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from unittest.mock import patch

import pyinfra_cli  # type: ignore[import-untyped]  # noqa: F401 - patches the standard library for gevent, so it comes first

from mailfleet.deploy import dns


def lookup(name: str, rtype: str) -> tuple[str, ...]:
    """The values of a name and type."""
    return ("1 13 2 00",) if (name, rtype) == ("shop.example", "DS") else ()


patch.object(dns, "resolver_of", lambda _: lookup).start()
patch.object(dns, "answers_of", lambda _: lambda _zone, _wanted: ()).start()
runpy.run_path(str(Path(__file__).parent / "recorder.py"))
