"""Which Debian mirror the machine uses: the lab's hosts get their packages from the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailfleet.lab.commands import run
from mailfleet.lab.errors import LabError

_FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
_SETTING = re.compile(r'^([\w:-]+) "(.*)";$')
_KEPT = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
"""Settings that a machine behind a frozen mirror has; its lab hosts need them as well."""


@dataclass(frozen=True)
class Mirrors:
    """The addresses of the main and security archive, and apt settings that go with them."""

    main: str
    security: str
    settings: tuple[tuple[str, str], ...] = ()
    proxy: str = ""

    def sources(self, suite: str) -> str:
        """`sources.list` of a host of that suite."""
        return "".join(f"{line}\n" for line in self.source_lines(suite))

    def source_lines(self, suite: str) -> tuple[str, ...]:
        return (
            f"deb {self.main} {suite} main",
            f"deb {self.main} {suite}-updates main",
            f"deb {self.security} {suite}-security main",
        )

    def sources_over_proxy(self, suite: str) -> str:
        """Like `sources`, but http throughout: TLS, if any, is between the proxy and the mirror."""
        return re.sub(r"(?m)^deb https://", "deb http://", self.sources(suite))


def discover() -> Mirrors:
    """The mirrors to use: from the environment, else from the machine's own apt.

    `MAILFLEET_MIRROR` and `MAILFLEET_SECURITY_MIRROR` win over what apt has.
    """
    main = os.environ.get("MAILFLEET_MIRROR", "")
    security = os.environ.get("MAILFLEET_SECURITY_MIRROR", "")
    if not (main and security):
        listed = run(["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"])
        found_main, found_security = mirrors_in(listed.splitlines())
        main, security = main or found_main, security or found_security
    for kind, variable, uri in (
        ("package", "MAILFLEET_MIRROR", main),
        ("security", "MAILFLEET_SECURITY_MIRROR", security),
    ):
        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LabError(
                f"no Debian {kind} mirror known: {uri!r} is not an http address"
                if uri
                else f"no Debian {kind} mirror known: this machine's apt lists none",
                f"run apt-get update, or set {variable} to the http address of one",
            )
    settings = dict(_settings(run(["apt-config", "dump"]).splitlines()))
    return Mirrors(
        main=main.rstrip("/"),
        security=security.rstrip("/"),
        settings=tuple((name, settings[name]) for name in _KEPT if name in settings),
        proxy=settings.get("Acquire::http::Proxy", ""),
    )


def mirrors_in(lines: Iterable[str]) -> tuple[str, str]:
    """The main and the security mirror in lines of `ORIGIN|LABEL|URI`; "" for one not found."""
    main = security = ""
    for line in lines:
        origin, label, uri = line.split("|", 2)
        if origin != "Debian":
            continue
        if label == "Debian-Security":
            security = security or uri
        elif label == "Debian":
            main = main or uri
    return main, security


def _settings(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        match = _SETTING.match(line)
        if match:
            yield match[1], match[2]
