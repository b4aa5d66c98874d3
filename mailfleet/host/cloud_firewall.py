"""A host's listeners as rules of Hetzner's cloud firewall: the same openings as ufw's. Pure.

It stops packets before they reach the host, whatever the host's own firewall says. It knows servers
and not their addresses, so a port is open on all addresses of the server; ufw is the stricter of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailfleet.host.state import Listener

_ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class CloudRule:
    """One rule, with the fields of `hcloud.firewalls.domain.FirewallRule`.

    Only for packets that come in: as long as there is no rule for the other direction, the cloud
    firewall lets everything out.
    """

    protocol: str
    source_ips: tuple[str, ...]
    description: str
    port: str | None = None
    """None for ICMP."""
    direction: str = "in"


def cloud_rules(listeners: Iterable[Listener]) -> tuple[CloudRule, ...]:
    """One rule for each protocol and port that the world may connect to, and one for ICMP."""
    sources: dict[tuple[str, int], dict[str, None]] = {}
    purposes: dict[tuple[str, int], dict[str, None]] = {}
    for listener in listeners:
        if not listener.public:
            continue
        key = (listener.protocol, listener.port)
        open_to = {a.version for a in listener.addresses if not a.is_loopback} or {4, 6}
        sources.setdefault(key, {}).update(
            dict.fromkeys(map(str, listener.sources or [_ANYWHERE[v] for v in sorted(open_to)]))
        )
        purposes.setdefault(key, {})[listener.purpose] = None
    rules = [
        CloudRule(
            protocol,
            tuple(sorted(sources[protocol, port])),
            # At most 255 characters, says the API.
            f"mailfleet: {', '.join(purposes[protocol, port])}"[:255],
            str(port),
        )
        for protocol, port in sources
    ]
    # Without "packet too big", large mail to whoever sits behind a tunnel never arrives (RFC 4890).
    every = tuple(_ANYWHERE.values())
    return (*rules, CloudRule("icmp", every, "mailfleet: errors on the way, and ping"))
