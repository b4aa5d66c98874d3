"""OpenDKIM: one signer for each stream, with the host's own keys of its domain (D2, D7)."""

from __future__ import annotations

from mailfleet.host.paths import DKIM_KEYS, OPENDKIM
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.signing import StreamSigner, WantedKey, stream_signers
from mailfleet.host.state import Check, ConfigFile, Directory, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

# What a replay would add or put beside the true one.
OVERSIGNED = (
    *("From", "To", "Cc", "Subject", "Date", "Reply-To", "Sender", "Message-ID"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    *("List-Unsubscribe", "List-Unsubscribe-Post"),
)
SIGNED = (
    *("In-Reply-To", "References", "Content-Disposition", "Content-ID", "Content-Language"),
    *("List-Id", "List-Help", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"),
    *("Feedback-ID", "X-CSA-Complaints", "CFBL-Address", "CFBL-Feedback-ID", "Auto-Submitted"),
    *("Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID"),
)
_TEMPLATE = "etc/systemd/system/opendkim@.service"


def wanted_keys(target: Target) -> tuple[WantedKey, ...]:
    """One key for each domain that the host signs for."""
    fleet, host = target.fleet, target.host
    return tuple(
        WantedKey(
            domain,
            fleet.selector(host, domain),
            next(
                fleet.domain(s.domain).dkim.bits for s in fleet.streams if s.from_domain == domain
            ),
        )
        for domain in fleet.signing_domains(host)
    )


def desired(target: Target) -> HostState:
    """The signers' configuration and keys; which keys the tables name, the host's answers decide."""
    signers = stream_signers(target.fleet, target.host)
    return HostState(
        packages=("opendkim", "openssl", "python3", "python3-dnspython"),
        keys=wanted_keys(target),
        signers=signers,
        directories=(
            Directory(OPENDKIM, 0o750, "root", "opendkim"),
            Directory(DKIM_KEYS, 0o750, "root", "opendkim"),
        ),
        files=(
            *(
                ConfigFile(
                    signer.config,
                    render(
                        "etc/opendkim/stream.conf",
                        signer=signer,
                        signed=(*OVERSIGNED, *SIGNED),
                        oversigned=OVERSIGNED,
                    ),
                    affects=(signer.unit,),
                )
                for signer in signers
            ),
            ConfigFile(
                f"{OPENDKIM}/trusted.hosts",
                render("etc/opendkim/trusted.hosts", host=target.host),
                affects=tuple(signer.unit for signer in signers),
            ),
            # Postfix has to reach the sockets, which belong to opendkim's group.
            ConfigFile("/etc/sysusers.d/mailfleet-opendkim.conf", "m postfix opendkim\n"),
            ConfigFile(
                f"/{_TEMPLATE}",
                render(_TEMPLATE),
                affects=(RELOAD, *(signer.unit for signer in signers)),
            ),
            *(drop_in(signer.unit, own=_own_keys(signer)) for signer in signers),
        ),
        checks=tuple(
            Check(f"signer of {signer.stream}", _CHECK.format(config=signer.config))
            for signer in signers
        ),
        services=tuple(Service(signer.unit) for signer in signers),
        # Debian's own is a single one for all.
        masked=("opendkim.service",),
    )


def _own_keys(signer: StreamSigner) -> tuple[str, ...]:
    """The keys of other domains do not exist for a signer, whatever its tables say."""
    return (
        f"TemporaryFileSystem={DKIM_KEYS}:ro",
        # "-": a new host has no keys before its first deploy.
        f"BindReadOnlyPaths=-{DKIM_KEYS}/{signer.domain}",
    )


# OpenDKIM opens the lists that the configuration names: those in the staging folder.
_CHECK = """\
mkdir -p "$CHECK/etc/opendkim"
sed "s|refile:/etc/opendkim/trusted|refile:$STAGE/etc/opendkim/trusted|" "$STAGE{config}" \
  > "$CHECK{config}"
opendkim -n -x "$CHECK{config}"
"""
