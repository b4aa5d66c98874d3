"""Packages that a deploy would install or remove."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailfleet.host.observed import PackageState

REMAINS = ("exim4-base", "sendmail-base")
"""Of these packages' own units each fails once the mail server that they help is gone."""


@dataclass(frozen=True)
class PackagesPlan:
    """What `operations.packages` does; package names, unless said otherwise."""

    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    """Beside these, apt removes what cannot be installed together with `install`."""
    finish: bool = False
    """Whether an earlier install was cut off."""
    make_room: tuple[str, ...] = ()
    """Other mail servers that end: their package, or their program with its pid."""
    forget: tuple[str, ...] = ()
    """Units that have failed and whose package is gone."""

    @property
    def needs_apt(self) -> bool:
        """Whether apt has anything to do."""
        return bool(self.install or self.remove or self.finish or self.make_room)

    @property
    def is_empty(self) -> bool:
        return not self.needs_apt and not self.forget


def plan_packages(
    wanted: Iterable[str],
    observed: PackageState,
    orphans: Iterable[str] = (),
    mail_servers: Iterable[str] = (),
) -> PackagesPlan:
    """Compare the wanted packages with the installed ones.

    `orphans` are failed units whose package is gone, `mail_servers` those that make room for Postfix.
    """
    return PackagesPlan(
        install=tuple(name for name in wanted if name not in observed.installed),
        remove=tuple(name for name in REMAINS if name in observed.installed),
        finish=observed.interrupted,
        make_room=tuple(mail_servers),
        forget=tuple(sorted(orphans)),
    )
