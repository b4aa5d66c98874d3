"""Whether the authority would find every name here, asked before it is: a failed order counts.

Each address of each name must answer with a file that is put under /.well-known/acme-challenge/
(RFC 8555 §8.3), its own or a peer's. What does so leads here, whoever the address belongs to: a
service against floods passes connections on from addresses of its own.
"""

from __future__ import annotations

import http.client
import pathlib
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import dns.rdatatype

from agent.lib import authoritative
from agent.lib.authoritative import MOST_ALIASES, UnansweredError

TIMEOUT = 5.0  # seconds for one server; what the authority waits is about twice that
FOLDER = ".well-known/acme-challenge"
PORT = 80


class NotReachableError(Exception):
    """A name that cannot be validated now; the text says why."""


def problems(
    names: Iterable[str],
    fleet: Iterable[str],
    webroot: str,
    port: int = PORT,
    *,
    one_address: bool = False,
) -> list[str]:
    """Why `names` could not be validated now, one line each; empty if all could.

    `fleet` are the addresses of the fleet's hosts: the texts tell others apart, and what cannot be
    asked from here is taken to be good only of them. `one_address`: a name is good with one good
    address, since the authority may well try that one.
    """
    known = frozenset(fleet)
    ask = Addresses()
    token = secrets.token_urlsafe(16)

    def problem(name: str) -> str:
        try:
            addresses = sorted(ask(name))
        except NotReachableError as error:
            return str(error)
        answers = {address: served(address, port, name, token) for address in addresses}
        if one_address and "" in answers.values():
            return ""
        return _problem(name, answers, known, port)

    path = pathlib.Path(webroot, FOLDER, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token, encoding="ascii")
    try:
        with ThreadPoolExecutor(max_workers=8) as pool:
            texts = list(pool.map(problem, names))
    finally:
        path.unlink()
    return [text for text in texts if text]


def _problem(name: str, answers: dict[str, str], known: frozenset[str], port: int) -> str:
    """What is wrong with a name whose addresses gave these answers; empty if nothing is."""
    wrong = [
        _address_problem(name, address, port, answer, ours=address in known)
        for address, answer in answers.items()
        if answer and not (answer == _NO_ROUTE and address in known)
    ]
    if wrong:
        return "; ".join(wrong)
    if set(answers.values()) == {_NO_ROUTE}:
        return f"{name}: none of {', '.join(answers)} can be reached from here"
    return ""


def _address_problem(name: str, address: str, port: int, answer: str, *, ours: bool) -> str:
    if ours:
        return f"{name} at {address} port {port} {answer}"
    return (
        f"{name} leads to {address}, which is no host of this fleet and {answer}; "
        f"correct its DNS record, or let port {port} there lead to the fleet"
    )


_NO_ROUTE = "has no route from here"


def served(address: str, port: int, name: str, token: str) -> str:
    """Empty if the file is served there under `name`, else what is wrong."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", f"/{FOLDER}/{token}", headers={"Host": name})
        answer = connection.getresponse()
        text = answer.read(200).decode("ascii", "replace")
    except (OSError, http.client.HTTPException) as error:
        # A host without IPv6 cannot ask IPv6 addresses.
        if isinstance(error, OSError) and error.errno in (99, 101):
            return _NO_ROUTE
        return f"does not answer: {error}"
    finally:
        connection.close()
    if answer.status != 200 or text != token:
        return f"does not serve this host's challenge files (HTTP status {answer.status})"
    return ""


class Addresses:
    """A name's addresses, as the authority's resolvers find them: from authoritative servers.

    A server of which nothing is known is passed over, as those resolvers go on to the next one: a
    renewal must not wait for it.
    """

    def __call__(self, name: str, depth: int = MOST_ALIASES) -> set[str]:
        """The addresses of `name`; NotReachableError where servers disagree or have none."""
        try:
            servers, _ = authoritative.servers(name, 2 * TIMEOUT)
        except UnansweredError as error:
            raise NotReachableError(
                f"the name servers of {name} cannot be asked: {error}"
            ) from None
        answers = {server: self._ask(server, name) for server in servers}
        known = {server: answer for server, answer in answers.items() if answer is not None}
        if not known:
            raise NotReachableError(f"no name server of {name} can be asked")
        for server, (addresses, alias) in known.items():
            if not addresses and not alias:
                raise NotReachableError(f"{name} has no address at the name server {server}")
        together = {address for addresses, _ in known.values() for address in addresses}
        for alias in {alias for _, alias in known.values() if alias}:
            if depth == 0:
                raise NotReachableError(f"{name} is an alias that leads nowhere")
            together |= self(alias, depth - 1)
        return together

    def _ask(self, server: str, name: str) -> tuple[set[str], str] | None:
        """Addresses and alias (empty: none) that one server tells; None if nothing is known."""
        addresses: set[str] = set()
        alias = ""
        for family in ("A", "AAAA"):
            try:
                answer = authoritative.ask(server, name, family, TIMEOUT)
            except UnansweredError:
                return None
            for rrset in answer.answer:
                if rrset.rdtype == dns.rdatatype.from_text(family):
                    addresses |= {record.address for record in rrset}
            end = authoritative.end_of_aliases(answer)
            if end != answer.question[0].name:
                alias = end.to_text()
        return addresses, "" if addresses else alias
