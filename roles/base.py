"""The ground under every mail host: name, time, validating resolver, security updates, kernel."""

from __future__ import annotations

from ipaddress import ip_address

from agent.lib.configuration import dump
from agent.resolver_watchdog.config import Config
from mailfleet.host import agent
from mailfleet.host.paths import AGENT_CONFIGURATION, RESOLV_CONF, SYSCTL, UNITS
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.state import Action, Check, ConfigFile, HostState, Listener, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
RESOLVER = "unbound.service"
WATCHDOG = "mailfleet-resolver-watchdog.service"
_WATCHDOG_CONFIG = f"{AGENT_CONFIGURATION}/resolver_watchdog.json"


def desired(target: Target) -> HostState:
    """Host name, /etc/hosts, clock, local resolver, unattended upgrades, sysctl."""
    host = target.host
    # unbound listens only on the families that it may use itself.
    versions = {address.version for address in host.addresses}
    loopback = tuple(address for address in LOOPBACK if address.version in versions)
    files = [
        ConfigFile("/etc/hostname", f"{host.name}\n", affects=("hostname",)),
        ConfigFile("/etc/hosts", render("etc/hosts", host=host)),
        ConfigFile("/etc/mailname", f"{host.name}\n"),
        ConfigFile(RESOLV_CONF, render("etc/resolv.conf", host=host)),
        ConfigFile(
            "/etc/unbound/unbound.conf",
            render("etc/unbound/unbound.conf", host=host, roots=target.roots),
            affects=(RESOLVER,),
        ),
        ConfigFile(SYSCTL, render("etc/sysctl.d/60-mailfleet.conf"),
                   affects=("sysctl",)),
        ConfigFile("/etc/apt/apt.conf.d/52-mailfleet", render("etc/apt/apt.conf.d/52-mailfleet")),
        ConfigFile("/etc/needrestart/conf.d/mailfleet.conf", render("etc/needrestart/conf.d/mailfleet.conf")),
        drop_in(RESOLVER),
        ConfigFile(_WATCHDOG_CONFIG, dump(Config(RESOLVER, str(loopback[0]))), affects=(WATCHDOG,)),
        ConfigFile(
            f"{UNITS}/{WATCHDOG}",
            render(
                f"etc/systemd/system/{WATCHDOG}",
                resolver=RESOLVER,
                command=agent.COMMAND,
                config=_WATCHDOG_CONFIG,
            ),
            affects=(RELOAD, WATCHDOG),
        ),
        drop_in(WATCHDOG),
    ]  # fmt: skip
    if target.roots is not None:
        files += [
            ConfigFile("/etc/unbound/root.hints", target.roots.hints, affects=(RESOLVER,)),
            ConfigFile("/etc/unbound/root.anchor", target.roots.anchor, affects=(RESOLVER,)),
        ]
    return HostState(
        packages=(
            "ca-certificates",
            "dns-root-data",
            # Over it the watchdog asks systemd which process the resolver is.
            "dbus",
            "needrestart",
            "systemd-timesyncd",
            "unattended-upgrades",
            "unbound",
        ),
        files=tuple(files),
        checks=(Check("resolver", _CHECK_RESOLVER),),
        actions=(
            Action("hostname", "hostname -F /etc/hostname"),
            # What runs at boot; unlike sysctl(8) it passes over keys that this kernel does not have.
            Action("sysctl", f"/usr/lib/systemd/systemd-sysctl {SYSCTL}"),
            Action(RELOAD, "systemctl daemon-reload"),
        ),
        services=(
            # What follows may ask it for names when it starts.
            Service(RESOLVER, alone=True),
            Service(WATCHDOG, status=agent.status("resolver_watchdog")),
            # A container has no clock of its own: there the unit's condition keeps it inactive.
            Service("systemd-timesyncd.service", runs=False),
            Service("unattended-upgrades.service", runs=False),
            # The one fetches the lists in which the other finds the upgrades.
            Service("apt-daily.timer"),
            Service("apt-daily-upgrade.timer"),
        ),
        # It would write /etc/resolv.conf where resolvconf is installed.
        masked=("unbound-resolvconf.service",),
        # It only runs where a unit of the operator's asks for it.
        as_packaged=("systemd-time-wait-sync.service",),
        listeners=(
            Listener("resolver", "tcp", 53, loopback, unit=RESOLVER),
            Listener("resolver", "udp", 53, loopback, unit=RESOLVER),
        ),
    )


# unbound-checkconf opens every file that the configuration names: those in the staging folder, and a
# root key like the one that unbound's unit makes when it starts, which it has not on a new host.
_CHECK_RESOLVER = """\
mkdir "$CHECK/etc/unbound"
cp /usr/share/dns/root.key "$CHECK/etc/unbound/"
sed "s|\\"/etc/unbound/root|\\"$STAGE/etc/unbound/root|;s|/var/lib/unbound/|$CHECK/etc/unbound/|" \
  "$STAGE/etc/unbound/unbound.conf" \
  > "$CHECK/etc/unbound/unbound.conf"
unbound-checkconf "$CHECK/etc/unbound/unbound.conf"
"""
