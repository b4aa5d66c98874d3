"""fail2ban: whoever guesses passwords, knocks at SSH or tries to relay is kept out for a while."""

from __future__ import annotations

from mailfleet.host.connections import waiting_ports
from mailfleet.host.paths import POSTFIX_LOGS
from mailfleet.host.sandbox import drop_in
from mailfleet.host.state import Check, ConfigFile, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

UNIT = "fail2ban.service"
_LOGS = POSTFIX_LOGS


def jails(target: Target) -> dict[str, tuple[str, ...]]:
    """The jails of a host, each with the log files that it reads; none: it reads the journal."""
    files = {}
    if target.host.sending:
        files["submission"] = tuple(f"{_LOGS}/{s.instance}.log" for s in target.host.sending)
    if target.host.inbound:
        files["inbound"] = (f"{_LOGS}/postfix.log",)
    if files:
        files["idle"] = tuple(path for paths in files.values() for path in paths)
    return {**files, "sshd": ()}


def desired(target: Target) -> HostState:
    """Jails for submission, inbound and SSH, which ban with nftables."""
    affects = (UNIT,)
    streams = target.fleet.host_streams(target.host)
    ports = sorted({p for _, stream in streams for p in (stream.tls_port, stream.starttls_port)})
    # Bans are looked at after the firewall has sent a connection from one port to the other.
    ports += waiting_ports(target.fleet, target.host).values()
    logs = jails(target)
    files = (
        ConfigFile(
            "/etc/fail2ban/jail.d/mailfleet.local",
            render(
                "etc/fail2ban/jail.d/mailfleet.local",
                ignore_networks=target.fleet.own_networks,
                submission_ports=ports,
                submission_logs=logs.get("submission", ()),
                inbound_log="".join(logs.get("inbound", ())),
                idle_logs=logs.get("idle", ()),
                idle_ports=[*ports, *([25] if target.host.inbound else [])],
                ssh_port=target.host.ssh_port,
            ),
            affects=affects,
        ),
        *(
            ConfigFile(f"/{path}", render(path), affects=affects)
            for path in (
                "etc/fail2ban/fail2ban.d/mailfleet.local",
                "etc/fail2ban/filter.d/mailfleet-idle.conf",
                "etc/fail2ban/filter.d/mailfleet-inbound.conf",
            )
        ),
        drop_in(UNIT, own=_touch_logs(logs)),
    )
    return HostState(
        # Without its journal bindings there is no SSH jail, without nftables no ban.
        packages=("fail2ban", "nftables", "python3-systemd"),
        files=files,
        checks=(Check("jails", _CHECK.format(files=" ".join(_files(logs)), logs=_LOGS)),),
        # It does not start before the logs are there that it reads.
        services=(Service(UNIT, alone=True),),
        # It empties all rules, ufw's and fail2ban's too, when it starts and when it stops.
        masked=("nftables.service",),
    )


def _touch_logs(logs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    # A jail without its file would keep all of fail2ban from starting, and logs are rotated.
    files = _files(logs)
    return (f"ExecStartPre=+/usr/bin/touch -a {' '.join(files)}",) if files else ()


def _files(logs: dict[str, tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(path for paths in logs.values() for path in paths))


# The stock configuration with ours on top; log files that do not exist yet would be an error.
_CHECK = """\
cp -r /etc/fail2ban "$CHECK/etc/"
cp -r "$STAGE/etc/fail2ban/." "$CHECK/etc/fail2ban/"
mkdir -p "$CHECK{logs}"
for file in {files}; do : > "$CHECK$file"; done
sed -i "s|{logs}/|$CHECK{logs}/|" "$CHECK/etc/fail2ban/jail.d/mailfleet.local"
fail2ban-client -c "$CHECK/etc/fail2ban" -t
"""
