"""What each service on a mail host is kept from doing, and that it comes back when it dies. Pure.

Both stand in one systemd drop-in for each unit (systemd.exec(5), systemd.service(5)). A role that
brings a unit adds `drop_in(unit)` to its files.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.host.paths import CLAMAV_DATABASE, POSTFIX_LOGS, SPAMASSASSIN_RULES, UNITS
from mailfleet.host.state import ConfigFile
from mailfleet.host.templates import render

RELOAD = "units"
"""The action that lets systemd read its units again; the role `base` declares it."""
_LEEWAY = 0.2
_NAME = "50-mailfleet.conf"

_USERS = ("CAP_SETUID", "CAP_SETGID")
# Root that may open, hand over and delete what belongs to a service's own users.
_FILES = ("CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")
_NETWORK = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK")


@dataclass(frozen=True)
class Sandbox:
    """The rights of one service; everything else is taken from it."""

    exposure: float
    """What `systemd-analyze security` says of it with these rights; 10 is unconfined.

    Measured on running hosts: Debian 12 and 13 say the same.
    """
    capabilities: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    """Paths; a leading "-" for one that may be missing."""
    families: tuple[str, ...] = ("AF_UNIX",)
    calls: tuple[str, ...] = ("@system-service",)
    own: tuple[str, ...] = ()
    """Directives of this service alone."""
    after: tuple[str, ...] = ()
    """Units that are to be up first."""
    compiles: bool = False
    """Whether it makes machine code while it runs."""
    pause: str = "1s"
    """Before it is started again; as long as it is away, mail waits at the client or in the queue."""


# Without a network of its own a service still reaches sockets in the file system.
_NO_NETWORK = "PrivateNetwork=yes"

SANDBOXES: dict[str, Sandbox] = {
    # master(8) is root: it opens ports, becomes `postfix` or a recipient, and stops its children.
    # Without a network of netlink it could not list the host's addresses.
    "postfix": Sandbox(
        2.7,
        ("CAP_NET_BIND_SERVICE", *_USERS, *_FILES, "CAP_KILL"),
        (POSTFIX_LOGS,),
        _NETWORK,
        # It listens on single addresses. Debian 13 left this to whoever does.
        after=("network-online.target",),
    ),
    # It only signs, so it needs neither root nor network.
    "opendkim": Sandbox(0.8, own=("User=opendkim", "Group=opendkim", _NO_NETWORK)),
    # It answers Postfix on sockets in the file system.
    "mailfleet-message": Sandbox(0.8, own=(_NO_NETWORK,)),
    # It asks the resolver, and nobody else can be reached from it.
    "mailfleet-authentication": Sandbox(
        1.4,
        families=("AF_UNIX", "AF_INET", "AF_INET6"),
        own=("IPAddressDeny=any", "IPAddressAllow=localhost"),
    ),
    # Its workers run as other users in empty roots. It serves sockets in Postfix's queues only.
    "dovecot": Sandbox(
        2.0,
        (*_USERS, *_FILES, "CAP_KILL", "CAP_SYS_CHROOT"),
        ("-/var/lib/dovecot",),
        calls=("@system-service", "chroot"),
        own=("RuntimeDirectory=dovecot", _NO_NETWORK),
    ),
    "unbound": Sandbox(
        2.8,
        ("CAP_NET_BIND_SERVICE", *_USERS, *_FILES, "CAP_SYS_CHROOT"),
        ("/var/lib/unbound",),
        _NETWORK,
        calls=("@system-service", "chroot"),
    ),
    # It asks the resolver and systemd, and ends a process of its own user.
    "mailfleet-resolver-watchdog": Sandbox(1.5, (), (), ("AF_UNIX", "AF_INET", "AF_INET6")),
    # It fetches policies by HTTPS, and keeps them.
    "postfix-mta-sts-resolver": Sandbox(
        1.5, (), ("/var/lib/mta-sts",), ("AF_UNIX", "AF_INET", "AF_INET6")
    ),
    # It asks the resolver and DNS, and answers Postfix.
    "mailfleet-tls-policy": Sandbox(1.5, (), (), ("AF_UNIX", "AF_INET", "AF_INET6")),
    # It reads logs and changes nftables, nothing else.
    "fail2ban": Sandbox(
        2.2,
        ("CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"),
        ("/var/lib/fail2ban", "/run/fail2ban"),
        _NETWORK,
    ),
    # It starts as root for its ports and keys; its workers are www-data.
    "nginx": Sandbox(
        2.7,
        ("CAP_NET_BIND_SERVICE", *_USERS, *_FILES, "CAP_KILL"),
        ("/var/log/nginx", "-/var/lib/nginx", "/run"),
        ("AF_UNIX", "AF_INET", "AF_INET6"),
    ),
    # amavisd unpacks what strangers send: with programs of others, and as a user of its own.
    "amavis": Sandbox(
        2.2,
        (*_USERS, *_FILES, "CAP_KILL"),
        ("/var/lib/amavis", "-/run/amavis", f"-{SPAMASSASSIN_RULES}"),
        ("AF_UNIX", "AF_INET", "AF_INET6"),
    ),
    # It gets each mail over its socket, so it needs neither root nor network. Bytecode signatures are
    # compiled while it runs.
    "clamav-daemon": Sandbox(
        0.8,
        (),
        (CLAMAV_DATABASE, "-/var/log/clamav"),
        own=("User=clamav", "Group=clamav", "RuntimeDirectory=clamav", _NO_NETWORK),
        compiles=True,
    ),
    # Between Postfix's and amavis' sockets; it writes each mail where amavis reads it.
    **{
        f"mailfleet-scan-{name}": Sandbox(0.8, (), ("/var/lib/amavis",), own=(_NO_NETWORK,))
        for name in ("inbound", "defer", "pass")
    },
    # Between Postfix's and clamd's sockets; it hands each mail over as an open file.
    **{
        f"mailfleet-scan-{name}": Sandbox(0.8, own=(_NO_NETWORK,))
        for name in ("virus-defer", "virus-pass")
    },
    "clamav-freshclam": Sandbox(
        2.5,
        (*_USERS, *_FILES),
        (CLAMAV_DATABASE, "-/run/clamav", "-/var/log/clamav"),
        ("AF_UNIX", "AF_INET", "AF_INET6"),
        compiles=True,
        # It ends where ClamAV's mirrors have shut it out; to ask at once would keep them shut.
        pause="1h",
    ),
}
"""By unit name without instance and suffix."""


def drop_in(
    unit: str,
    *,
    writable: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    stop: str = "",
) -> ConfigFile:
    """The drop-in that confines and revives `unit`; a change restarts it. KeyError for an unknown service.

    `writable` are paths and `own` are directives besides the service's. `stop` names an action that
    stops the unit, for units that are told of changes by a reload: only a start takes up a sandbox.
    """
    sandbox = SANDBOXES[unit.removesuffix(".service").partition("@")[0]]
    text = render(
        f"{UNITS}/{_NAME}".lstrip("/"),
        own=(*sandbox.own, *own),
        writable=(*sandbox.writable, *writable),
        capabilities=sandbox.capabilities,
        families=sandbox.families,
        calls=sandbox.calls,
        compiles=sandbox.compiles,
        pause=sandbox.pause,
        after=sandbox.after,
    )
    affects = (RELOAD, *((stop,) if stop else ()), unit)
    return ConfigFile(path_of(unit), text, affects=affects)


def limit(unit: str) -> float:
    """What `systemd-analyze security` may say of `unit` at most; KeyError for an unknown service.

    A little more than it says: other releases of systemd may weigh otherwise.
    """
    sandbox = SANDBOXES[unit.removesuffix(".service").partition("@")[0]]
    return round(sandbox.exposure + _LEEWAY, 1)


def path_of(unit: str) -> str:
    """Where a unit's drop-in lives."""
    return f"{UNITS}/{unit}.d/{_NAME}"


def confined(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The units whose drop-ins are among `paths`."""
    start, end = f"{UNITS}/", f".d/{_NAME}"
    return tuple(
        path.removeprefix(start).removesuffix(end)
        for path in paths
        if path.startswith(start) and path.endswith(end)
    )
