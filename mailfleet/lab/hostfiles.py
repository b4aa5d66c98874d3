"""The files that make a host out of an image. Pure: they are written by `hosts.prepare`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailfleet.lab import addresses
from mailfleet.lab.ca import SshKey
from mailfleet.lab.mirror import Mirrors
from mailfleet.lab.spec import Host


@dataclass(frozen=True)
class HostFile:
    """A file of a host, owned by root; folders that are missing above it get `folder_mode`.

    With a `target` it is a symbolic link.
    """

    path: str
    text: str = field(default="", repr=False)
    mode: int = 0o644
    folder_mode: int = 0o755
    target: str = ""


def common_files(
    host: Host, *, operator: str, host_key: SshKey, machine_id: str, mirrors: Mirrors
) -> tuple[HostFile, ...]:
    """What every host has, as a cloud provider would set it up: its name, keys and packages.

    `operator` is the public key that may log in as root.
    """
    proxy = _url(addresses.PACKAGES[0 if _has_v4(host) else 1], addresses.PACKAGES_PORT)
    settings = [*mirrors.settings, ("Acquire::http::Proxy", proxy), ("Acquire::Languages", "none")]
    return (
        HostFile("etc/hostname", f"{host.fqdn}\n"),
        HostFile("etc/hosts", hosts_table(host)),
        HostFile("etc/resolv.conf", resolver_configuration(host)),
        HostFile("etc/machine-id", f"{machine_id}\n", 0o444),
        HostFile("etc/apt/sources.list", mirrors.sources_over_proxy(host.suite)),
        HostFile(
            "etc/apt/apt.conf.d/90lab",
            "".join(f"{name} {json.dumps(value)};\n" for name, value in settings),
        ),
        HostFile("root/.ssh/authorized_keys", f"{operator}\n", 0o600, 0o700),
        HostFile("etc/ssh/ssh_host_ed25519_key", host_key.private, 0o600),
        HostFile("etc/ssh/ssh_host_ed25519_key.pub", f"{host_key.public}\n"),
    )


def hosts_table(host: Host) -> str:
    """`/etc/hosts`: the host knows its own name without asking anyone."""
    short = host.fqdn.split(".", 1)[0]
    lines = [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        f"{host.addresses[0]} {host.fqdn} {short}",
    ]
    return "".join(f"{line}\n" for line in lines)


def resolver_configuration(host: Host) -> str:
    """`/etc/resolv.conf`: the lab's resolver, by a family that the host has."""
    resolvers = [
        address
        for address in addresses.RESOLVER
        if any(own.version == address.version for own in host.addresses)
    ]
    # trust-ad: the resolver validates, and the path to it is the lab's own.
    return f"nameserver {resolvers[0]}\noptions edns0 trust-ad\n"


def known_hosts_lines(keys: Sequence[tuple[Host, SshKey]]) -> str:
    """The operator's `known_hosts`: every host by its names and addresses."""
    lines = []
    for host, key in keys:
        names = dict.fromkeys((host.fqdn, host.name, *map(str, host.addresses)))
        lines.append(f"{','.join(names)} {key.public}\n")
    return "".join(lines)


def service(
    name: str,
    description: str,
    start: str,
    *,
    before_start: Sequence[str] = (),
    kind: str = "simple",
    after: str = "",
    environment: Mapping[str, str] | None = None,
) -> tuple[HostFile, ...]:
    """A service of the lab's own hosts: in the foreground, from boot on, restarted if it dies.

    `kind` is systemd's `Type`; `after` names the service that has to be ready first.
    """
    lines = [
        "[Unit]",
        f"Description={description}",
        *([f"After={after}.service"] if after else []),
        "[Service]",
        f"Type={kind}",
        *(f"Environment={name}={value}" for name, value in (environment or {}).items()),
        *(f"ExecStartPre={command}" for command in before_start),
        f"ExecStart={start}",
        "Restart=always",
        "RestartSec=1",
        "LimitNOFILE=65536",
    ]
    unit = f"etc/systemd/system/{name}.service"
    return (
        HostFile(unit, "".join(f"{line}\n" for line in lines)),
        HostFile(f"etc/systemd/system/multi-user.target.wants/{name}.service", target=f"/{unit}"),
    )


def _has_v4(host: Host) -> bool:
    return any(address.version == 4 for address in host.addresses)


def _url(address: addresses.Address, port: int) -> str:
    return f"http://{address}:{port}" if address.version == 4 else f"http://[{address}]:{port}"
