"""OpenDKIM: signs every stream's mail with the host's own keys, over a UNIX socket (D2, D7)."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from mailfleet.hoststate import Check, ConfigFile, Directory, HostState, Service
from mailfleet.operations import dkim
from mailfleet.render import render
from mailfleet.sandbox import drop_in
from mailfleet.target import Target

UNIT = "opendkim.service"
SOCKET = "unix:/run/opendkim/opendkim.sock"


def wanted_keys(target: Target) -> tuple[dkim.WantedKey, ...]:
    """One key for each domain that the host signs for."""
    fleet, host = target.fleet, target.host
    return tuple(
        dkim.WantedKey(
            domain,
            fleet.selector(host, domain),
            next(
                fleet.domain(s.domain).dkim.bits for s in fleet.streams if s.from_domain == domain
            ),
            also=tuple(
                stream.return_path
                for _, stream in fleet.host_streams(host)
                if stream.from_domain == domain != stream.return_path
            ),
        )
        for domain in fleet.signing_domains(host)
    )


def desired(target: Target) -> HostState:
    """The signer's configuration; keys and tables follow in `apply`, once the host is asked."""
    return HostState(
        packages=("opendkim", "openssl", "python3", "python3-dnspython"),
        directories=(
            Directory("/etc/opendkim", 0o750, "root", "opendkim"),
            Directory("/etc/opendkim/keys", 0o750, "root", "opendkim"),
        ),
        files=(
            ConfigFile("/etc/opendkim.conf", render("etc/opendkim.conf"), affects=(UNIT,)),
            ConfigFile(
                "/etc/opendkim/trusted.hosts",
                render("etc/opendkim/trusted.hosts", host=target.host),
                affects=(UNIT,),
            ),
            # Postfix has to reach the socket, which belongs to opendkim's group.
            ConfigFile("/etc/sysusers.d/mailfleet-opendkim.conf", "m postfix opendkim\n"),
            drop_in(UNIT),
        ),
        checks=(Check("signer", _CHECK),),
        services=(Service(UNIT),),
    )


@deploy("DKIM")
def apply(target: Target) -> None:
    """Make missing keys, and sign with those that DNS shows everywhere."""
    dkim.sign(name="Keys and signing tables", wanted=wanted_keys(target), unit=UNIT)


# OpenDKIM opens the lists that the configuration names: those in the staging folder.
_CHECK = """\
sed "s|refile:/etc/opendkim/trusted|refile:$STAGE/etc/opendkim/trusted|" "$STAGE/etc/opendkim.conf" \
  > "$CHECK/etc/opendkim.conf"
opendkim -n -x "$CHECK/etc/opendkim.conf"
"""
