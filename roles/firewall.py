"""ufw: everything is denied but what the host's services listen on.

The rules are rendered in ufw's own format and installed like every other file: SSH's rule is there
before ufw is enabled, all rules change at once, and `ufw status` shows them as if typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailfleet.facts.connection import CONNECTION
from mailfleet.host.paths import UFW_RULES, UFW_RULES_IPV6
from mailfleet.host.state import (
    Action,
    Check,
    ConfigFile,
    ConnectionLimit,
    HostState,
    Listener,
    Service,
)
from mailfleet.host.target import Target
from mailfleet.host.templates import render
from mailfleet.model import Address, Network

UNIT = "ufw.service"
RELOAD = "firewall"


@dataclass(frozen=True)
class Rule:
    """One allowed destination; `address` None means any address of the host."""

    protocol: str
    port: int
    address: Address | None
    purpose: str
    source: Network | None = None
    """Whom it is open to; None: everybody."""

    @property
    def comment(self) -> str:
        """ufw keeps comments as hexadecimal."""
        return f"mailfleet: {self.purpose}".encode().hex()

    @property
    def source_text(self) -> str | None:
        """As ufw writes it: a single address without its prefix length."""
        if self.source is None:
            return None
        single = self.source.num_addresses == 1
        return str(self.source.network_address if single else self.source)


def rules(listeners: Iterable[Listener], version: int) -> tuple[Rule, ...]:
    """The rules for one IP version, in the listeners' order."""
    openings = []
    for listener in listeners:
        if not listener.public:
            continue
        addresses: Iterable[Address | None] = listener.addresses or (None,)
        sources: Iterable[Network | None] = listener.sources or (None,)
        openings += [
            Rule(listener.protocol, listener.port, address, listener.purpose, source)
            for address in addresses
            for source in sources
            if all(part is None or part.version == version for part in (address, source))
        ]
    return tuple(dict.fromkeys(openings))


@dataclass(frozen=True)
class Limited:
    """An opening at which one client may only have so many connections."""

    name: str
    """Of the kernel's table of clients, 15 characters at most."""
    address: Address
    port: int
    limit: ConnectionLimit

    @property
    def concurrent(self) -> int:
        """At the same time, for an address or a network /64."""
        return self.limit.concurrent if self.address.version == 4 else self.limit.of_network

    @property
    def ports(self) -> str:
        """The port, and that where the connections above the limit have come to."""
        waiting = self.limit.waiting_port
        return str(self.port) if waiting is None else f"{self.port},{waiting}"

    @property
    def waiting(self) -> str | None:
        """Address and port where the connections above the limit wait."""
        if self.limit.waiting_port is None:
            return None
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.limit.waiting_port}"

    @property
    def burst(self) -> int:
        """A minute's worth may come at once; the kernel takes no higher number than 10,000."""
        return min(self.limit.per_minute, 10_000)


def limited(listeners: Iterable[Listener], version: int) -> tuple[Limited, ...]:
    """The openings with a limit for one IP version, in the listeners' order."""
    limits = [
        (address, listener.port, listener.limit)
        for listener in listeners
        if listener.limit is not None
        for address in listener.addresses
        if address.version == version
    ]
    return tuple(Limited(f"mailfleet-{n}", *values) for n, values in enumerate(limits, start=1))


def _ingress(target: Target, listeners: tuple[Listener, ...]) -> Iterator[ConfigFile]:
    """How many connections one client may have."""
    for version, suffix, bits in ((4, "", 32), (6, "6", 64)):
        values = {
            "rules": limited(listeners, version),
            "bits": bits,
            # Loopback never comes in from outside.
            "exempt": [
                network
                for network in target.fleet.own_networks
                if network.version == version and not network.is_loopback
            ],
        }
        yield ConfigFile(
            f"/etc/ufw/mailfleet-ingress{suffix}.rules",
            render("etc/ufw/mailfleet-ingress.rules", **values),
            mode=0o640,
            affects=(RELOAD,),
        )


def _egress() -> tuple[ConfigFile, ...]:
    """Port 25 out for Postfix alone; both files are of no use without each other."""
    return (
        ConfigFile(
            "/etc/ufw/mailfleet-egress.rules", render("etc/ufw/mailfleet-egress.rules"),
            mode=0o640, affects=(RELOAD,),
        ),
        ConfigFile(
            "/etc/ufw/before.init", render("etc/ufw/before.init"), mode=0o750, affects=(RELOAD,)
        ),
    )  # fmt: skip


def desired(target: Target, others: HostState) -> HostState:
    """Default deny, and an opening for each public listener of `others`, IPv4 and IPv6 alike."""
    own = tuple(
        Listener(port.purpose, port.protocol, port.port, (), "operator", port.sources)
        for port in target.host.open_ports
    )
    # In the order that `merge` gives them: verify compares the kernel's.
    listeners = (*own, *others.listeners)
    affects = (RELOAD,)
    return HostState(
        # Without nftables' compatibility tools ufw has nothing to load its rules with.
        packages=("iptables", "ufw"),
        files=(
            ConfigFile("/etc/default/ufw", render("etc/default/ufw"), affects=affects),
            ConfigFile("/etc/ufw/ufw.conf", render("etc/ufw/ufw.conf"), affects=affects),
            ConfigFile(
                UFW_RULES,
                render(
                    "etc/ufw/user.rules", chain="ufw", any="0.0.0.0/0", rules=rules(listeners, 4)
                ),
                mode=0o640,
                affects=affects,
            ),
            ConfigFile(
                UFW_RULES_IPV6,
                render("etc/ufw/user.rules", chain="ufw6", any="::/0", rules=rules(listeners, 6)),
                mode=0o640,
                affects=affects,
            ),
            *_ingress(target, listeners),
            *_egress(),
        ),
        checks=(
            Check("SSH stays open", _CHECK_SSH),
            Check("firewall", _CHECK.format(restore="iptables-restore", name="user.rules")),
            Check(
                "firewall (IPv6)", _CHECK.format(restore="ip6tables-restore", name="user6.rules")
            ),
            Check(
                "way out",
                _CHECK.format(restore="iptables-restore -n", name="mailfleet-egress.rules"),
            ),
            Check(
                "limits on connections",
                _CHECK.format(restore="iptables-restore -n", name="mailfleet-ingress.rules")
                + "\n"
                + _CHECK.format(restore="ip6tables-restore -n", name="mailfleet-ingress6.rules"),
            ),
        ),
        # `enable` also loads rules into a firewall that is already on.
        actions=(Action(RELOAD, "ufw --force enable >/dev/null && ufw reload >/dev/null"),),
        # Nothing listens before it stands.
        services=(Service(UNIT, on_change="reload", alone=True),),
        listeners=own,
    )


# It names the line that fails, but not the file.
_CHECK = """\
{restore} --test < "$STAGE/etc/ufw/{name}" || {{ echo "in $STAGE/etc/ufw/{name}"; exit 1; }}"""


# pyinfra may have been told another port than the inventory's (--ssh-port, group data, an ssh_config):
# what counts is the port that this very connection came in on.
_CHECK_SSH = f"""\
{CONNECTION}
port=${{from##* }}
if [ -n "$port" ] && ! grep -q -e "--dport $port -j ACCEPT" "$STAGE/etc/ufw/user.rules"; then
  echo "this connection uses SSH port $port, which the firewall would close;" \
    "set ssh_port = $port in the host's data in the inventory"
  exit 1
fi"""
