"""DKIM keys and signing tables (decision D2): a key is born here, and signs once DNS shows it."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.services import PENDING
from mailfleet.host.paths import DKIM_KEYS, OPENDKIM
from mailfleet.host.plan.host import DKIM
from mailfleet.host.plan.keys import KeysPlan, plan_keys, signing_files
from mailfleet.host.signing import StreamSigner, WantedKey
from mailfleet.operations.files import ship

# Written beside its final place and renamed: a key that exists is whole.
_GENERATE = f"""\
set -eu
umask 077
install -d -m 750 -o root -g opendkim {OPENDKIM} "$1"
install -d -m 750 -o root -g opendkim "$1/$2"
openssl genrsa -out "$1/$2/$3.new" "$4" 2>/dev/null
chown opendkim:opendkim "$1/$2/$3.new"
mv "$1/$2/$3.new" "$1/$2/$3.private"
"""


@operation()
def sign(
    wanted: tuple[WantedKey, ...], signers: tuple[StreamSigner, ...]
) -> Generator[StringCommand, None, None]:
    """Create missing keys, and sign with every wanted key that all authoritative servers show.

    A key that signs already goes on signing when a name server cannot be reached for a while:
    mail without a signature would be worse, and `mailfleet verify` reports the server.
    """
    keys = host.get_fact(DkimKeys)
    plan = plan_keys(wanted, signers, keys)
    yield from _commands(plan)
    for note in plan.notes:
        logger.warning(f"{host.print_prefix}{note}")
    yield from ship(DKIM, signing_files(wanted, signers, keys))


def _commands(plan: KeysPlan) -> Generator[StringCommand, None, None]:
    for key in plan.create:
        yield StringCommand(
            "sh", "-c", QuoteString(_GENERATE), "generate",
            *map(QuoteString, (DKIM_KEYS, key.domain, key.selector, str(key.bits))),
        )  # fmt: skip
    for file in plan.guard:
        path = QuoteString(file.path)
        marks = [QuoteString(f"{PENDING}/{unit}") for unit in file.units]
        yield StringCommand(
            "chown opendkim:opendkim", path, "&& chmod 600", path,
            *(("&& touch", *marks) if marks else ()),
        )  # fmt: skip
