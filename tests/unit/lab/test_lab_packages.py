"""What the package proxy fetches and what it refuses, and how the mirrors are found."""

from __future__ import annotations

import pytest

from mailfleet.lab.mirror import Mirrors, mirrors_in
from mailfleet.lab.packages import source_of, upstreams

pytestmark = pytest.mark.unit

MIRRORS = ("http://deb.example/debian", "https://deb.example/debian-security/")
ALLOWED = upstreams(list(MIRRORS))


@pytest.mark.parametrize(
    ("asked", "fetched"),
    [
        (
            "http://deb.example/debian/dists/trixie/InRelease",
            "http://deb.example/debian/dists/trixie/InRelease",
        ),
        (
            "http://DEB.example/debian/pool/main/p/postfix/postfix_1%2b2_amd64.deb",
            "http://deb.example/debian/pool/main/p/postfix/postfix_1%2b2_amd64.deb",
        ),
        (
            "http://deb.example/debian-security/dists/x",
            "https://deb.example/debian-security/dists/x",
        ),
    ],
)
def test_what_is_below_a_mirror_is_fetched_from_it(asked: str, fetched: str) -> None:
    assert source_of(asked, ALLOWED) == fetched


@pytest.mark.parametrize(
    "asked",
    [
        "http://mail.example/debian/x",
        "http://deb.example:25/debian/x",
        "http://deb.example/other/x",
        "http://deb.example/debianx",
        "http://deb.example/debian/../other/x",
        "http://deb.example/debian/%2e%2e/other/x",
        "http://deb.example/debian/x?url=http://mail.example/",
        "http://deb.example/debian/x%0d%0aHost:%20mail.example",
        "http://deb.example@mail.example/debian/x",
        "http://mail.example@deb.example/debian/x",
        "https://deb.example/debian/x",
        "file:///etc/shadow",
        "/debian/x",
        "/",
        "",
        "http://[/debian/x",
    ],
)
def test_all_else_is_refused(asked: str) -> None:
    assert source_of(asked, ALLOWED) is None


def test_mirrors_are_told_apart_by_what_they_say_of_themselves() -> None:
    lines = [
        "Docker|Docker CE|https://docker.example/linux/debian/",
        "Debian|Debian-Security|http://deb.example/debian-security/",
        "Debian|Debian|http://deb.example/debian/",
        "Debian|Debian|http://other.example/debian/",
        "Debian Backports|Debian Backports|http://deb.example/backports/",
    ]
    assert mirrors_in(lines) == (
        "http://deb.example/debian/",
        "http://deb.example/debian-security/",
    )
    assert mirrors_in([]) == ("", "")


def test_hosts_speak_http_to_the_proxy_whatever_the_mirror_speaks() -> None:
    mirrors = Mirrors(*MIRRORS)
    assert "deb https://deb.example/debian-security/ trixie-security main" in mirrors.sources(
        "trixie"
    )
    assert "https://" not in mirrors.sources_over_proxy("trixie")
