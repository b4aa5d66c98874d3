"""The password hashes of the applications that submit, and all that is missing of them at once."""

from __future__ import annotations

import re

from mailfleet.errors import MailfleetError
from mailfleet.model import Fleet, Host
from mailfleet.secrets import optional_secret, variable, where_to_set

_CRYPT = re.compile(r"\$[0-9a-z]+\$[./A-Za-z0-9$=,+-]+")


def login_hashes(fleet: Fleet, host: Host) -> dict[str, str]:
    """The crypt(3) hash of each login of the host's streams.

    MailfleetError where one is missing or no hash; it names all of the fleet that are, so that nobody
    has to deploy once for each.
    """
    found: dict[str, str] = {}
    faults: dict[str, str] = {}
    for stream in fleet.streams:
        for login in stream.logins:
            key = variable(f"login-{login}")
            secret = optional_secret(f"login-{login}", lab=fleet.lab)
            if secret is None:
                faults[login] = (
                    f"the secret {key} is not set: password hash of the {stream.name} login {login}"
                )
            elif not _CRYPT.fullmatch(secret.reveal()):
                faults[login] = f"{key} is no crypt(3) hash, which looks like $6$salt$hash"
            else:
                found[login] = secret.reveal()
    own = [login for _, stream in fleet.host_streams(host) for login in stream.logins]
    if faults.keys() & own:
        raise MailfleetError(
            "\n".join(faults.values()),
            f"make a hash with `openssl passwd -6`, then {where_to_set('MAILFLEET_LOGIN_...')}",
        )
    return {login: found[login] for login in own}
