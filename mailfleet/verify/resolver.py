"""The host's own resolver: whether it answers at all, and whether it can look names up.

A resolver that hangs makes Postfix, the signer and the scanners wait into their time-outs, so whoever
verifies a host asks the resolver first and leaves out what depends on it.
"""

from __future__ import annotations

import shlex

from mailfleet.errors import MailfleetError
from mailfleet.host.paths import RESOLV_CONF

_TRIES = 2
_ANSWER = 5
"""Seconds for an answer that needs no other server; a busy host has them."""
_LOOKUP = 15
_PROGRAM = f"""\
import dns.exception, dns.flags, dns.message, dns.query, dns.rcode, dns.resolver

def ask(server, query, seconds):
    try:
        return dns.query.udp(query, server, timeout=seconds)
    except (dns.exception.Timeout, OSError):
        return None

own = dns.message.make_query("id.server.", "TXT", "CH")
look_up = dns.message.make_query(".", "NS", want_dnssec=True)
for server in dns.resolver.Resolver().nameservers:
    answers = [ask(server, own, {_ANSWER}) for _ in range({_TRIES})]
    if not any(answers):
        print(server, "silent")
        continue
    answer = ask(server, look_up, {_LOOKUP})
    code = dns.rcode.to_text(answer.rcode()) if answer else "timeout"
    print(server, code, "validated" if answer and answer.flags & dns.flags.AD else "unvalidated")
"""
COMMAND = f"python3 -I -c {shlex.quote(_PROGRAM)}"
"""Prints a line for each server in /etc/resolv.conf: `silent`, or a code and `validated` or not."""
_LOOK = "see 'systemctl status unbound' on the host"


class SilentResolverError(MailfleetError):
    """The host's resolver does not answer: what depends on it cannot be judged."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host}: its resolver does not answer, see resolver.answers")


def is_silent(output: str) -> bool:
    """Whether no server of the host answers; `output` is what `COMMAND` printed."""
    rows = _rows(output)
    return bool(rows) and all(row[1:] == ["silent"] for row in rows)


def problems(output: str) -> list[str]:
    """What is wrong with the resolver; `output` is what `COMMAND` printed."""
    rows = _rows(output)
    if not rows:
        return [f"{RESOLV_CONF} names no server, expected 127.0.0.1 or ::1: {output.strip()}"]
    messages = []
    for server, *state in rows:
        if state == ["silent"]:
            messages.append(
                f"the resolver at {server} does not answer, so no mail is taken or delivered: restart it "
                f"with 'systemctl restart unbound', {_LOOK}"
            )
        elif state[0] != "NOERROR":
            messages.append(
                f"the resolver at {server} cannot look up the root's name servers ({state[0]}): are UDP "
                f"and TCP port 53 outwards open? {_LOOK}"
            )
        elif state[1] != "validated":
            messages.append(
                f"the resolver at {server} does not validate, which DANE needs: {_LOOK}"
            )
    return messages


def _rows(output: str) -> list[list[str]]:
    """Server and state; a traceback's lines are no rows."""
    rows = [line.split() for line in output.splitlines()]
    return [
        row
        for row in rows
        if row[1:] == ["silent"] or (len(row) == 3 and row[2][-9:] == "validated")
    ]
