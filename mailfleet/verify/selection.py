"""Which hosts of a fleet a run is about."""

from __future__ import annotations

from mailfleet.errors import ConfigurationError, Problem
from mailfleet.model import Fleet, Host


def chosen(fleet: Fleet, limit: str | None) -> tuple[Host, ...]:
    """The hosts of a region, or the host, that `limit` names; never none."""
    hosts = tuple(host for host in fleet.hosts if limit in (None, host.region, host.name))
    if not hosts:
        known = ", ".join((*(r.name for r in fleet.regions), *(h.name for h in fleet.hosts)))
        text = f"no host is called or grouped {limit!r}; known are {known}"
        raise ConfigurationError([Problem(fleet.source, "--limit", text)])
    return hosts
