"""Port 25 of a host: whose mail it takes, and whether it has room for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from mailfleet.host.mailboxes import FULL_KEY, FULL_TABLE, ROLES
from mailfleet.host.paths import MAILDIRS, queue
from mailfleet.model import Fleet, Host
from mailfleet.verify.ports import Look, Port, from_here, ports_of

# Users that every Debian has, and one of ours. Case does not matter to Postfix.
_SYSTEM_USERS = ("root", "www-data", "postfix", "opendkim", "nobody")
_SENDER = "<>"
_USER = "mailfleet-inbound"
COMMAND = (
    f'postmap -q {FULL_KEY} lmdb:{FULL_TABLE}; echo "postmap ends with $?"; '
    f"df --block-size=1 --output=avail,target {queue('postfix')} {shlex.quote(MAILDIRS)} | tail -n +2; "
    # Folders that readers make in a maildir (.Archive) may be theirs.
    f"find {shlex.quote(MAILDIRS)} -maxdepth 2 -name '.*' -prune -o -type d "
    f"\\( ! -user {_USER} -o ! -perm -u=rwx \\) -printf 'not writable: %p of %u, mode %m\\n'"
)
"""Prints Postfix's answer while the maildirs are full, if they are, the free octets of the disks, and
folders that Postfix cannot deliver into."""


def taken(fleet: Fleet, host: Host) -> list[str]:
    """Recipients that have to be taken: postmaster and abuse of all names of the host, in any case."""
    names = (host.name, *(sending.helo for sending in host.sending))
    addresses = [f"<{role}@{name}>" for name in dict.fromkeys(names) for role in ROLES]
    domains = dict.fromkeys(stream.return_path for _, stream in fleet.host_streams(host))
    return [
        "<postmaster>",
        "<Postmaster>",
        *addresses,
        *(f"<postmaster@{name}>" for name in domains),
    ]


def refused(host: Host) -> list[str]:
    """Recipients that must be unknown: the host's own users."""
    return [*(f"<{user}@{host.name}>" for user in _SYSTEM_USERS), "<root>", "<root@localhost>"]


def ask(fleet: Fleet, host: Host, ca: str) -> list[Look]:
    """Name all these recipients to the host's first inbound port; no message follows."""
    ports: Sequence[Port] = [p for p in ports_of(fleet, host) if p.kind == "inbound"][:1]
    tries = [(_SENDER, recipient) for recipient in (*taken(fleet, host), *refused(host))]
    return from_here(ports, ca, tries=tries)


def recipient_problems(looks: Iterable[Look], wanted: Sequence[str]) -> list[str]:
    """Recipients that are refused though they are `wanted`, and others that are taken."""
    problems = []
    for look in looks:
        for _, recipient, code, text in look.result["replies"]:
            if recipient in wanted and code != 250:
                problems.append(
                    f"{look.port} answers {code} {text} to {recipient}, expected 250: people write there"
                )
            if recipient not in wanted and not 500 <= code < 600:
                problems.append(
                    f"{look.port} answers {code} {text} to {recipient}, expected a refusal: "
                    "no user of the system has a mailbox"
                )
    return problems


def room_problems(output: str, minimum: int) -> list[str]:
    """Full maildirs, those that cannot be written, and disks with less than `minimum` octets.

    `said` is what `COMMAND` printed.
    """
    lines = output.splitlines()
    problems = []
    if any(line.startswith("452 ") for line in lines):
        problems.append(
            f"{MAILDIRS} is full, port 25 takes no mail: read or delete some, or raise megabytes in "
            "inbound_limits; 'journalctl -u mailfleet-maildirs' says how much there is"
        )
    # 1: the key is not in the table, as it should be.
    elif "postmap ends with 1" not in lines:
        problems.append(
            f"whether {MAILDIRS} is full cannot be asked: {output.strip()}; deploy again"
        )
    problems += [
        f"{line.removeprefix('not writable: ')}: port 25 takes mail that cannot be delivered there; "
        f"'chown -R {_USER}: {MAILDIRS}; chmod -R u+rwX {MAILDIRS}', then 'postqueue -f'"
        for line in lines
        if line.startswith("not writable: ")
    ]
    for line in lines:
        free, _, path = line.strip().partition(" ")
        if free.isdigit() and int(free) < minimum:
            problems.append(
                f"the disk of {path.strip()} has {int(free) // 10**6} MB left, port 25 takes no mail "
                f"below {minimum // 10**6} MB: make room"
            )
    return list(dict.fromkeys(problems))
