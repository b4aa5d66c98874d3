"""Dovecot as the password check of the submission ports: no mailboxes, only authentication."""

from __future__ import annotations

from collections.abc import Iterator

from mailfleet.host.paths import queue
from mailfleet.host.profile import SecretNeed
from mailfleet.host.sandbox import drop_in
from mailfleet.host.state import Check, ConfigFile, Directory, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render
from mailfleet.model import Fleet, Host

UNIT = "dovecot.service"


def secrets(fleet: Fleet, host: Host) -> Iterator[SecretNeed]:
    """The password hash of each login of the host's streams."""
    for _, stream in fleet.host_streams(host):
        for login in stream.logins:
            yield SecretNeed(f"login-{login}", f"password hash of the {stream.name} login {login}")


def desired(target: Target) -> HostState:
    """One authentication socket in each stream's queue directory, one file of password hashes.

    Nothing on a host without streams: nobody logs in there.
    """
    streams = target.fleet.host_streams(target.host)
    if not streams:
        return HostState()
    is_new = target.release.has_dovecot_24_syntax
    template = "dovecot-2.4.conf" if is_new else "dovecot-2.3.conf"
    users = "".join(
        f"{login}:{target.logins[login]}\n" for _, stream in streams for login in stream.logins
    )
    return HostState(
        packages=("dovecot-core",),
        directories=(Directory("/etc/dovecot/mailfleet", 0o750, "root", "dovecot"),),
        files=(
            ConfigFile(
                "/etc/dovecot/dovecot.conf",
                render(f"etc/dovecot/{template}", sockets=[s.instance for s, _ in streams]),
                affects=(UNIT,),
            ),
            # Read at each authentication: a new hash needs no reload.
            ConfigFile(
                "/etc/dovecot/mailfleet/logins", users, 0o640, "root", "dovecot", secret=True
            ),
            drop_in(UNIT, writable=tuple(f"{queue(s.instance)}/private" for s, _ in streams)),
        ),
        checks=(Check("submission", 'doveconf -c "$STAGE/etc/dovecot/dovecot.conf" >/dev/null'),),
        services=(Service(UNIT, reads_certificate=True),),
        # It would open the ports of IMAP and POP3.
        masked=("dovecot.socket",),
    )
