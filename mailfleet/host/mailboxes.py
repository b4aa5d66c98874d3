"""What a host's port 25 takes mail for, and the maildir or address where each mail ends. Pure.

Every mail of a domain goes into one maildir, through one address that stands for it: Postfix then
keeps a single copy, however many recipients at that domain the message has.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.model import Fleet, Host

ROLES = ("postmaster", "abuse")
"""Whom every mail domain has to have (RFC 5321 §4.5.1, RFC 2142 §2 and §4); case does not matter."""
FULL_TABLE = "/var/lib/mailfleet-maildirs/full"
"""Postfix's lmdb table (without suffix) that says how mail is answered while the maildirs are full."""
FULL_KEY = "full"
_BOX = "mailbox"
# But none with a route in it (percent hack, bang path, a quoted address): who looks for open relays
# would take the 250 for one.
_ANYBODY = '[^%!@:"]+'


@dataclass(frozen=True)
class Mailboxes:
    """The tables of one host's inbound instance; patterns are regular expressions, in order."""

    domains: tuple[str, ...]
    """Everything that it is the final destination of: mail domains, and names of hosts."""
    aliases: tuple[tuple[str, str], ...]
    """Pattern of a recipient, and the address that it stands for."""
    programs: tuple[tuple[str, str], ...]
    """The same for mail that the host's own programs write, before `aliases`."""
    maildirs: tuple[tuple[str, str], ...]
    """Pattern of an address, and its maildir below `paths.MAILDIRS`."""
    forwards: tuple[str, ...]
    """Addresses elsewhere that mail is passed on to."""


def taken_domains(fleet: Fleet) -> tuple[str, ...]:
    """Return paths, and From domains without mail servers elsewhere: any local part of them is taken."""
    domains = [stream.return_path for stream in fleet.streams]
    for domain in fleet.domains:
        if domain.mx is None and domain.sends:
            domains += [domain.name, *(s.from_domain for s in domain.streams)]
    return tuple(dict.fromkeys(domains))


def served_names(fleet: Fleet, host: Host) -> tuple[str, ...]:
    """The names of hosts, HELO names included, whose postmaster and abuse `host` takes mail for.

    Its own; those of a host that takes no mail itself are served by all that do.
    """
    if not host.inbound:
        return (host.name,)
    others = (name for other in fleet.hosts if not other.inbound for name in other.names)
    return tuple(dict.fromkeys((*host.names, *others)))


def mailboxes(fleet: Fleet, host: Host) -> Mailboxes:
    """The tables of `host`, whether it takes mail of others or only its own programs'."""
    home = _home(fleet, host)
    domains = taken_domains(fleet) if host.inbound else (home,)
    names = served_names(fleet, host)
    readers = {name: _reader(fleet, name, home) for name in (*names, *domains)}
    roles = f"({'|'.join(ROLES)})"
    aliases = [(_pattern(roles, name), readers[name]) for name in (*names, *domains)]
    aliases += [(_pattern(_ANYBODY, domain), _box(domain)) for domain in domains]
    own = f"({_literal(host.name)}|localhost)"
    forwards = (a for a in readers.values() if a.partition("@")[2] not in domains)
    return Mailboxes(
        domains=tuple(dict.fromkeys((*domains, *names))),
        aliases=tuple(aliases),
        programs=((f"^.+@{own}$", readers[host.name]),),
        maildirs=tuple((_pattern(_BOX, domain), f"{domain}/") for domain in domains),
        forwards=tuple(dict.fromkeys(forwards)),
    )


def _home(fleet: Fleet, host: Host) -> str:
    """The domain whose maildir is for mail to the host's names, where no address is named."""
    taken = taken_domains(fleet)
    owner = fleet.domain_of(host.name)
    nearest = [d for d in taken if owner and (d == owner.name or d.endswith(f".{owner.name}"))]
    return min(nearest, key=len) if nearest else taken[0]


def _reader(fleet: Fleet, name: str, home: str) -> str:
    """Who reads mail to postmaster and abuse of `name`."""
    owner = fleet.domain_of(name)
    if owner is None or owner.postmaster is None:
        return _box(name if name in taken_domains(fleet) else home)
    address = owner.postmaster
    at = address.partition("@")[2]
    return _box(at) if at in taken_domains(fleet) else address


def _box(domain: str) -> str:
    return f"{_BOX}@{domain}"


def _pattern(local: str, domain: str) -> str:
    return f"^{local}@{_literal(domain)}$"


def _literal(name: str) -> str:
    # A domain name has nothing else that a regular expression takes for more than itself.
    return name.replace(".", r"\.")
