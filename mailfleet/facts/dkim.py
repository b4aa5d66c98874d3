"""A host's DKIM keys: their public halves, and whether DNS shows them."""

from __future__ import annotations

import json
from typing import TypedDict

from pyinfra.api import FactBase, QuoteString, StringCommand
from pyinfra.api.exceptions import FactProcessError

from mailfleet.host.templates import agent


class HostKey(TypedDict):
    """`p` is the base64 SubjectPublicKeyInfo; None where the file holds no readable key."""

    domain: str
    selector: str
    p: str | None
    bits: int | None
    visible: bool | None
    """Whether every authoritative server of the domain answers with this key; None: not known."""
    why: str
    """Which server does not, or why it is not known; empty where the key is visible."""
    owner: str
    """Mode, owner and group of the file, e.g. "600 opendkim opendkim"."""
    signing: bool
    """Whether OpenDKIM's key table names it."""


class DkimKeys(FactBase[list[HostKey]]):
    """Every key below /etc/opendkim/keys; an empty list on a host without any."""

    def command(self) -> StringCommand:
        # The reporter travels with the question: nothing to install, nothing to go stale.
        return StringCommand("python3", "-c", QuoteString(agent("dkim_keys.py")))

    def requires_command(self) -> str:
        return "python3"

    @staticmethod
    def default() -> list[HostKey]:
        return []

    def process(self, output: list[str]) -> list[HostKey]:
        try:
            keys: list[HostKey] = json.loads(output[-1])
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"agent/dkim_keys.py printed no JSON: {error}") from None
        return keys
