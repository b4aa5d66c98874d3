"""Every record at every address of every authoritative server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from dns.exception import DNSException

from mailfleet.authorities import Authority, ask
from mailfleet.checks.finding import Finding, Scope, Task
from mailfleet.records import RRset
from mailfleet.records.compare import difference

Servers = Mapping[str, Iterable[Authority]]
"""The servers of each zone that answer for it."""


def tasks(scope: Scope, servers: Servers) -> Iterator[Task]:
    """One for each record and server."""
    for zone, wanted in scope.desired.zones.items():
        for record in wanted:
            if scope.includes(record.name):
                for server in servers.get(zone, ()):
                    yield partial(_record, server, record, scope.push)


def _record(server: Authority, record: RRset, push: str) -> Iterator[Finding]:
    subject = f"{record.name} {record.type}"
    try:
        answered = ask(server, record.name, record.type)
    except (DNSException, OSError) as error:
        remedy = "see whether the server is up and reachable from here"
        yield Finding(subject, f"{server} does not answer: {error}", remedy)
        return
    if problem := difference(record, answered):
        yield Finding(subject, f"{server} {problem}", push)
