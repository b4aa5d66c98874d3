"""The package proxy: the one thing that a lab's hosts reach beyond the lab.

It answers GET and HEAD for addresses below the machine's Debian mirrors, and nothing else: no other
host, no CONNECT, no other method. Here is what it may fetch; `package_proxy` is the server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Upstream:
    """One mirror: requests for `host` below `path` are fetched from `base`."""

    host: str
    path: str
    base: str


def upstreams(mirrors: list[str]) -> tuple[Upstream, ...]:
    """What to fetch from for the given mirror addresses."""
    sources = []
    for mirror in mirrors:
        parts = urlsplit(mirror)
        sources.append(Upstream(parts.netloc.lower(), parts.path.rstrip("/") + "/", mirror))
    return tuple(sources)


def source_of(url: str, allowed: tuple[Upstream, ...]) -> str | None:
    """The address to fetch for a request for `url`; None if the proxy must refuse it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    path = unquote(parts.path)
    if parts.scheme != "http" or parts.query or parts.fragment or ".." in path.split("/"):
        return None
    if any(character < "!" for character in path):
        return None
    for upstream in allowed:
        if parts.netloc.lower() == upstream.host and path.startswith(upstream.path):
            return upstream.base.rstrip("/") + "/" + parts.path[len(upstream.path) :]
    return None


def configuration(
    namespace: str, port: int, mirrors: tuple[str, ...], cache: Path, proxy: str
) -> str:
    """The text of the file that the process reads."""
    return json.dumps(
        {
            "namespace": namespace,
            "port": port,
            "mirrors": mirrors,
            "cache": str(cache),
            "proxy": proxy,
        }
    )
