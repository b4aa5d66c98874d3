"""Content filtering behind milters, only where something is scanned: clamd, or amavis with SpamAssassin."""

from __future__ import annotations

from mailfleet.host.paths import CLAMAV_DATABASE, SPAMASSASSIN_RULES, UNITS
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.scanning import EICAR, Milter, Sizing, level, milters, sizing
from mailfleet.host.state import Check, ConfigFile, Directory, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

AMAVIS = "amavis.service"
CLAMD = "clamav-daemon.service"
FRESHCLAM = "clamav-freshclam.service"
RULES = "spamassassin-maintenance.timer"
_CLAMD_SOCKET = "/run/clamav/clamd.ctl"
_FIXED_DATABASE = "/etc/clamav/lab"
_MASKED_AMAVIS = (
    # Caches and figures of clusters.
    "amavis-mc.service",
    "amavisd-snmp-subagent.service",
    # Debian's init script starts one milter; mailfleet-scan-*.service are those that Postfix asks.
    "amavisd-milter.service",
)
# For the same reason.
_MASKED_CLAMD_MILTER = ("clamav-milter.service",)
_MASKED = (
    # It scans what local programs open, with CAP_SYS_ADMIN.
    "clamav-clamonacc.service",
    # They hold the lock of freshclam's log, so that the daemon fails beside them.
    "clamav-freshclam-once.service",
    "clamav-freshclam-once.timer",
)
# A first sa-update that fails or is cut off leaves a folder without rules, which Debian 12's SpamAssassin
# takes for its rules all the same: it finds none, and amavis does not start. Without the folder it reads
# those of the package. For when the plug is pulled, amavis itself looks as well, as root ("+").
_FORGET_FAILED_UPDATE = (
    f"/bin/sh -c 'for folder in {SPAMASSASSIN_RULES}/[0-9].*; do "
    'ls "$$folder"/*.cf >/dev/null 2>&1 || rm -rf "$$folder"; done\''
)
# Postfix's limit for inbound mail, which is its default.
_INBOUND_BYTES = 10_240_000
# What SpamAssassin may be asked about; clamd has limits of its own.
_HEADER_FIELDS, _HEADER_OCTETS = 500, 131_072
# Seconds; each waits longer than what it waits for. An SMTP client waits 600 (RFC 5321 §4.5.3.2.6).
_PATIENCE = {"process": 100, "scan": 120, "queue": 120, "milter": 300}


def desired(target: Target) -> HostState:
    """Nothing at all on a host that scans nothing."""
    fleet, host = target.fleet, target.host
    wanted = level(fleet, host)
    if wanted == "none":
        return HostState()
    updates = fleet.offers.scanner_updates
    size = sizing(wanted, target.capacity, updates=updates)
    asked = milters(fleet, host)
    for_amavis = tuple(milter for milter in asked if milter.by_amavis)
    for_clamd = tuple(milter for milter in asked if not milter.by_amavis)
    services = [
        Service(CLAMD),
        *((Service(AMAVIS),) if for_amavis else ()),
        *(Service(milter.unit) for milter in asked),
    ]
    if updates:
        services.insert(0, Service(FRESHCLAM))
        if wanted == "full":
            services.append(Service(RULES))
    spam = wanted == "full"
    # All of them: a package stays where its streams no longer need it.
    masked = [*_MASKED_AMAVIS, *_MASKED_CLAMD_MILTER, *_MASKED]
    if not updates:
        # Neither has a mirror to ask.
        masked += [FRESHCLAM, *((RULES,) if spam else ())]
    amavis_own = (
        # clamd's socket is for its group alone.
        "SupplementaryGroups=clamav",
        *((f"ExecStartPre=+-{_FORGET_FAILED_UPDATE}",) if spam else ()),
    )
    return HostState(
        packages=(
            *(("amavisd-milter", "amavisd-new") if for_amavis else ()),
            "clamav-daemon",
            "clamav-freshclam",
            *(("clamav-milter",) if for_clamd else ()),
            # Its postinst imports the key of the rules, and gpg imports none without its agent.
            *(("gpg", "gpg-agent", "spamassassin") if spam else ()),
        ),
        directories=() if updates else (Directory(_FIXED_DATABASE),),
        files=(
            *(_amavis_files(target, for_amavis, size) if for_amavis else ()),
            *_clamav_files(target, size),
            *(_clamd_milter_files(target, for_clamd) if for_clamd else ()),
            *(_spam_files(target) if spam else ()),
            *(
                drop_in(s.unit, own=amavis_own if s.unit == AMAVIS else ())
                for s in services
                if s.unit != RULES
            ),
        ),
        checks=(
            *((Check("content filter", _CHECK_AMAVIS),) if for_amavis else ()),
            Check("virus scanner", _CHECK_CLAMAV),
            *((Check("spam rules", _CHECK_RULES),) if spam else ()),
        ),
        services=tuple(services),
        masked=tuple(masked),
        as_packaged=(
            # A drop-in keeps it down. Masked, it would keep its service from being enabled ("Also=").
            "clamav-daemon.socket",
            *(("spamassassin-maintenance.service",) if spam else ()),
        ),
    )


def _amavis_files(target: Target, asked: tuple[Milter, ...], size: Sizing) -> list[ConfigFile]:
    values = {
        "host": target.host,
        "level": level(target.fleet, target.host),
        "sizing": size,
        "clamd": _CLAMD_SOCKET,
        "patience": _PATIENCE,
        "lists": target.uri_lists,
        "header_fields": _HEADER_FIELDS,
        "header_octets": _HEADER_OCTETS,
    }
    files = [
        ConfigFile(
            "/etc/amavis/conf.d/60-mailfleet",
            render("etc/amavis/conf.d/60-mailfleet", **values),
            affects=(AMAVIS,),
        ),
    ]
    for milter in asked:
        # Inbound gets half: a flood from outside must not keep the streams waiting.
        connections = size.processes // 2 if milter.name == "inbound" else size.processes
        text = render(
            "etc/systemd/system/mailfleet-scan.service",
            milter=milter,
            connections=connections,
            options="-B -P" if milter.passes else "-B",
            patience=_PATIENCE,
        )
        files.append(ConfigFile(f"{UNITS}/{milter.unit}", text, affects=(RELOAD, milter.unit)))
    return files


def _clamav_files(target: Target, size: Sizing) -> list[ConfigFile]:
    updates = target.fleet.offers.scanner_updates
    database = CLAMAV_DATABASE if updates else _FIXED_DATABASE
    values = {
        "clamd": _CLAMD_SOCKET,
        "database": database,
        "sizing": size,
        "largest": _largest(target),
    }
    files = [
        ConfigFile("/etc/clamav/clamd.conf", render("etc/clamav/clamd.conf", **values),
                   affects=(CLAMD,)),
        _unit_part(
            "etc/systemd/system/clamav-daemon.service.d/mailfleet.conf",
            CLAMD, updates=updates, database=database,
        ),
        _unit_part("etc/systemd/system/clamav-daemon.socket.d/mailfleet.conf"),
    ]  # fmt: skip
    if not updates:
        files.append(ConfigFile(f"{database}/eicar.ndb", _eicar_signature(), affects=(CLAMD,)))
    else:
        text = render("etc/clamav/freshclam.conf", **values)
        # Debian's package gives the file this owner and mode, and freshclam's own tools expect it.
        files.append(
            ConfigFile("/etc/clamav/freshclam.conf", text, 0o444, "clamav", "adm", (FRESHCLAM,))
        )
    return files


def _clamd_milter_files(target: Target, asked: tuple[Milter, ...]) -> list[ConfigFile]:
    """Debian's clamav-milter, once for each way to fail, which only its configuration can say."""
    files = []
    for milter in asked:
        path = f"/etc/clamav/mailfleet-scan-{milter.name}.conf"
        text = render(
            "etc/clamav/clamav-milter.conf",
            milter=milter,
            clamd=_CLAMD_SOCKET,
            largest=_largest(target),
            patience=_PATIENCE,
        )
        unit = render("etc/systemd/system/mailfleet-scan-virus.service", milter=milter, config=path)
        files += [
            ConfigFile(path, text, affects=(milter.unit,)),
            ConfigFile(f"{UNITS}/{milter.unit}", unit, affects=(RELOAD, milter.unit)),
        ]
    return files


def _largest(target: Target) -> int:
    """Octets of the largest mail: a milter adds header fields of its own to what Postfix takes."""
    sizes = (stream.limits.message_bytes for _, stream in target.fleet.host_streams(target.host))
    return max((_INBOUND_BYTES, *sizes)) + 1_000_000


def _spam_files(target: Target) -> list[ConfigFile]:
    lists = target.uri_lists
    path = "etc/spamassassin/mailfleet.cf"
    files = [
        ConfigFile(f"/{path}", render(path), affects=(AMAVIS,)),
        _unit_part(
            "etc/systemd/system/spamassassin-maintenance.service.d/mailfleet.conf",
            after=_FORGET_FAILED_UPDATE,
        ),
    ]
    if lists:
        path = "etc/spamassassin/mailfleet-lists.cf"
        rules = render(path, lists=lists)
        # A zone's name may hold the key of a customer.
        files.append(ConfigFile(f"/{path}", rules, 0o640, "root", "amavis", (AMAVIS,), secret=True))
        path = "etc/spamassassin/mailfleet-outbound.prefs"
        files.append(ConfigFile(f"/{path}", render(path, lists=lists), affects=(AMAVIS,)))
    return files


def _unit_part(path: str, *affects: str, **values: object) -> ConfigFile:
    return ConfigFile(f"/{path}", render(path, **values), affects=(RELOAD, *affects))


def _eicar_signature() -> str:
    """All signatures where no mirror is reached, in ClamAV's extended format: any file type and offset."""
    return f"Eicar-Test-Signature:0:*:{EICAR.encode().hex()}\n"


# amavis reads all files of the folder in their order, and runs them as Perl.
_CHECK_AMAVIS = """\
set --
for file in /etc/amavis/conf.d/*; do
  [ "$file" = /etc/amavis/conf.d/60-mailfleet ] || set -- "$@" -c "$file"
done
amavisd "$@" -c "$STAGE/etc/amavis/conf.d/60-mailfleet" test-config"""

# clamconf names what is wrong, and ends with 0 all the same. It reads a milter's file by one name only.
_CHECK_CLAMAV = """\
cp /etc/clamav/freshclam.conf "$CHECK/etc/" 2>/dev/null || :
cp "$STAGE"/etc/clamav/*.conf "$CHECK/etc/"
for milter in "$CHECK"/etc/mailfleet-scan-*.conf; do
  [ ! -e "$milter" ] || mv "$milter" "$CHECK/etc/clamav-milter.conf"
  clamconf --config-dir="$CHECK/etc" >"$CHECK/clamav" 2>&1
  if grep '^ERROR' "$CHECK/clamav"; then exit 1; fi
done"""

_CHECK_RULES = """\
cp -R /etc/spamassassin "$CHECK/etc/"
cp "$STAGE"/etc/spamassassin/* "$CHECK/etc/spamassassin/"
spamassassin --lint --siteconfigpath="$CHECK/etc/spamassassin" --prefspath=/dev/null"""
