"""A host's DKIM keys: their public halves, and whether DNS shows them."""

from __future__ import annotations

import json

from pyinfra.api import FactBase, QuoteString, StringCommand
from pyinfra.api.exceptions import FactProcessError

from mailfleet.host import agent
from mailfleet.host.observed import DkimKeyReport

_MODULES = ("lib/__init__.py", "lib/authoritative.py", "dkim/__init__.py", "dkim/report.py")


class DkimKeys(FactBase[list[DkimKeyReport]]):
    """Every key below /etc/opendkim/keys; an empty list on a host without any."""

    def command(self) -> StringCommand:
        # The reporter travels with the question: nothing to install, nothing to go stale.
        return StringCommand("python3", "-c", QuoteString(agent.script(*_MODULES)))

    def requires_command(self) -> str:
        return "python3"

    @staticmethod
    def default() -> list[DkimKeyReport]:
        return []

    def process(self, output: list[str]) -> list[DkimKeyReport]:
        try:
            keys: list[DkimKeyReport] = json.loads(output[-1])
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"agent/dkim/report.py printed no JSON: {error}") from None
        return keys
