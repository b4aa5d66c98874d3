"""How secrets are named: inside by what they are for, outside by environment variables."""

from __future__ import annotations

import re


def variable(name: str) -> str:
    """The environment variable that holds the secret `name`, e.g. "tsig-mailfleet".

    Not injective: "tsig-a.b" and "tsig-a-b" share one. Of logins, whose names have neither "." nor
    "-", no two do, and the checks of the model let no two TSIG keys of a fleet do.
    """
    return "MAILFLEET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
