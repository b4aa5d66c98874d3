"""The password hashes of the applications that submit, and all that is wrong with them at once."""

from __future__ import annotations

import re

from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, Host
from mailfleet.project.environment import environment_of
from mailfleet.secrets import variable, where_to_set

# crypt(5) of libxcrypt, which Debian's Dovecot asks: its methods that are no longer weak, whole.
_TEXT = "[./0-9A-Za-z]"
_METHODS = (
    rf"\$5\$(rounds=[0-9]{{4,9}}\$)?[^$:\s]{{1,16}}\${_TEXT}{{43}}",
    rf"\$6\$(rounds=[0-9]{{4,9}}\$)?[^$:\s]{{1,16}}\${_TEXT}{{86}}",
    rf"\$2[aby]\$[0-9]{{2}}\${_TEXT}{{53}}",
    rf"\$g?y\${_TEXT}+\${_TEXT}{{0,86}}\${_TEXT}{{43}}",
)
_CRYPT = re.compile("|".join(_METHODS))
_WRONG = (
    "{key} is no whole crypt(3) hash of SHA-512, SHA-256, yescrypt or bcrypt, such as $6$salt$ and 86 "
    "characters (a shell reads $6 as a variable unless the hash stands in single quotes)"
)


def check_logins(fleet: Fleet) -> None:
    """MailfleetError where a login of the fleet has no hash or a wrong one; it names all of them."""
    _refuse(_read(fleet)[1])


def login_hashes(fleet: Fleet, host: Host) -> dict[str, str]:
    """The crypt(3) hash of each login of the host's streams.

    MailfleetError where one is missing or no hash; it names all of the fleet that are, so that nobody
    has to deploy once for each.
    """
    hashes, faults = _read(fleet)
    own = [login for _, stream in fleet.host_streams(host) for login in stream.logins]
    if faults.keys() & own:
        _refuse(faults)
    return {login: hashes[login] for login in own}


def _read(fleet: Fleet) -> tuple[dict[str, str], dict[str, str]]:
    """The hashes of all logins, and what is wrong with the others."""
    hashes: dict[str, str] = {}
    faults: dict[str, str] = {}
    environment = environment_of(fleet)
    for stream in fleet.streams:
        for login in stream.logins:
            key = variable(f"login-{login}")
            secret = environment.optional_secret(f"login-{login}")
            if secret is None:
                faults[login] = (
                    f"the secret {key} is not set: password hash of the {stream.name} login {login}"
                )
            elif not _CRYPT.fullmatch(secret.reveal()):
                faults[login] = _WRONG.format(key=key)
            else:
                hashes[login] = secret.reveal()
    return hashes, faults


def _refuse(faults: dict[str, str]) -> None:
    if faults:
        raise MailfleetError(
            "\n".join(faults.values()),
            f"make a hash with `openssl passwd -6`, then {where_to_set('MAILFLEET_LOGIN_...')}",
        )
