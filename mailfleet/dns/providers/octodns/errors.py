"""What goes wrong inside octoDNS or a provider class, in plain words with what to do."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mailfleet.dns.providers.octodns.api import Arguments
from mailfleet.errors import MailfleetError

_LONGEST = 500
_log = logging.getLogger(__name__)


@contextmanager
def explained(
    given: Arguments, what: str, kind_of: type[MailfleetError] = MailfleetError
) -> Iterator[None]:
    """Turn whatever a provider class raises into a MailfleetError; `what` completes "cannot"."""
    try:
        with warnings.catch_warnings():
            # Provider packages use what octoDNS 1.22 deprecates; that is for their authors.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
        _log.info("octodns %s: %s: done", given.path, what)
    except MailfleetError:
        raise
    except Exception as error:  # noqa: BLE001 (each provider class has errors of its own)
        text = " ".join(given.hidden(str(error)).split())[:_LONGEST]
        kind = type(error).__name__
        # Not the text: it may hold what the class was called with.
        _log.info("octodns %s: %s: %s", given.path, what, kind)
    else:
        return
    problem = f"cannot {what} through {given.path}: {kind}: {text}"
    hint = (
        "compare the arguments in [dns] with the provider's README, and its account's permissions"
    )
    raise kind_of(problem, hint)


def changed_meanwhile(given: Arguments, zone: str, name: str) -> MailfleetError:
    """The zone is not what the plan was made from."""
    problem = (
        f"cannot change {zone} through {given.path}: {name} was changed by somebody else since it "
        "was read"
    )
    return MailfleetError(problem, "run the command again")


def would_change_more(given: Arguments, zone: str, others: list[str]) -> MailfleetError:
    """octoDNS counts records as changed that the plan leaves alone."""
    problem = (
        f"cannot change {zone} through {given.path}: octoDNS would also change "
        f"{', '.join(others)}, which are none of the fleet's"
    )
    hint = "write those records in a form that the provider class keeps, or use another driver"
    return MailfleetError(problem, hint)


def not_shown(given: Arguments, zone: str, names: list[str]) -> MailfleetError:
    """What was written is not what is there."""
    problem = f"{given.path} took the changes to {zone}, but does not show {', '.join(names)} so"
    hint = (
        "run the command again; if it stays so, the provider changes TTLs or values: see which by "
        "`mailfleet dns plan`, and set e.g. ttl in the domain file to what it takes"
    )
    return MailfleetError(problem, hint)
