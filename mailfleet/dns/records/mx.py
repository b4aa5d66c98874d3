"""Which servers take the mail of which name."""

from __future__ import annotations

from mailfleet.model import Domain, Fleet, Host

_PREFERENCE = 10
# RFC 7505 §3: the domain takes no mail.
NULL_MX = "0 ."


def mail_names(domain: Domain) -> tuple[str, ...]:
    """The From and return-path domains of a domain file, each once."""
    return domain.mail_names


def mx_hosts(fleet: Fleet, domain: Domain) -> dict[str, tuple[str, ...]]:
    """The mail servers of each of the file's mail names, best first.

    Bounces come back to this fleet's hosts, whoever takes the domain's other mail.
    """
    inbound = tuple(host.name for host in fleet.inbound_hosts)
    own = inbound if domain.mx is None else domain.mx
    return {name: own if name in domain.from_domains else inbound for name in mail_names(domain)}


def host_mx_values(fleet: Fleet, host: Host) -> list[str]:
    """The MX values of a host's own name and HELO names: for their postmaster (RFC 5321 §4.5.1).

    The host itself; port 25 of its sending addresses is closed. All that take mail, if it takes none.
    """
    servers = (host,) if host.inbound else fleet.inbound_hosts
    return [f"{_PREFERENCE} {server.name}." for server in servers]


def mx_values(fleet: Fleet, domain: Domain, name: str) -> list[str]:
    """The MX values of a mail name: foreign servers in their order, the fleet's all alike."""
    servers = mx_hosts(fleet, domain)[name]
    ranked = domain.mx is not None and name in domain.from_domains
    return [
        f"{_PREFERENCE * (at if ranked else 1)} {server}."
        for at, server in enumerate(servers, start=1)
    ]
