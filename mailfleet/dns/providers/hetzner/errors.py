"""What keeps a zone at Hetzner from being written, in plain words with what to do."""

from __future__ import annotations

from mailfleet.apis.hetzner.errors import VARIABLE
from mailfleet.errors import MailfleetError


def changed(zone: str, what: str) -> MailfleetError:
    """The zone is not as the plan was made for."""
    problem = f"cannot change {zone} at hetzner: {what} was changed by somebody else"
    return MailfleetError(problem, "run the command again")


def missing(zone: str) -> MailfleetError:
    return MailfleetError(
        f"the Hetzner project of the token {VARIABLE} has no zone {zone}",
        f"create the zone there, take the token of the project that has it, or check zone in [dns] "
        f"of the domain file: Hetzner has no zones below a registered domain, so the records of "
        f"mail.shop.example lie in the zone shop.example (wanted: {zone})",
    )


def secondary(zone: str) -> MailfleetError:
    return MailfleetError(
        f"the zone {zone} at hetzner is in secondary mode: it only copies another name server",
        "publish at that server (provider = rfc2136), or make the zone a primary one at Hetzner",
    )
