"""What is in the images that lab hosts boot from.

The image of a mail host is what a cloud provider hands out: plain Debian with SSH and Python, no
mail package, no firewall. The two hosts that stand for the rest of the internet are as lean as
possible.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from mailfleet.lab.spec import Host, Kind

_BASE = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
)
_CLOUD = ("curl", "iputils-ping", "less", "libpam-systemd", "nano", "sudo")
_PACKAGES: dict[Kind, tuple[str, ...]] = {
    "mta": (*_BASE, *_CLOUD),
    "nameserver": (*_BASE, "knot", "knot-dnsutils", "unbound", "bind9-dnsutils", "pebble"),
    "receiver": (*_BASE, "postfix", "rspamd"),
}
# Timers, consoles and the packages' own services: the lab starts its services by its own units.
_SUPPORT_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "knot.service",
    "logrotate.timer",
    "postfix.service",
    "rspamd.service",
    "systemd-logind.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "unbound-resolvconf.service",
    "unbound.service",
)
_FORMAT = 1
"""Raise it when the builder makes something else of the same recipe."""


@dataclass(frozen=True)
class Recipe:
    """An image: equal recipes give interchangeable images."""

    kind: Kind
    suite: str
    packages: tuple[str, ...]
    masked: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The name of the image's folder; another recipe has another name."""
        text = json.dumps([_FORMAT, asdict(self)], sort_keys=True)
        return f"{self.kind}-{self.suite}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def recipe_for(host: Host) -> Recipe:
    """The recipe of the image that `host` boots from."""
    return Recipe(
        kind=host.kind,
        suite=host.suite,
        packages=tuple(sorted(_PACKAGES[host.kind])),
        masked=() if host.kind == "mta" else _SUPPORT_MASKED,
    )
