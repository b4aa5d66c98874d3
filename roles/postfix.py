"""Postfix: an instance for each stream on its own address, and one for inbound mail (decision D1)."""

from __future__ import annotations

from mailfleet.host import authentication, connections, paths
from mailfleet.host.mailboxes import FULL_KEY, FULL_TABLE, mailboxes
from mailfleet.host.releases import release_of
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.scanning import inbound_milter, stream_milter
from mailfleet.host.signing import stream_signer
from mailfleet.host.state import (
    Action,
    Check,
    ConfigFile,
    ConnectionLimit,
    Directory,
    HostState,
    Listener,
    Service,
)
from mailfleet.host.target import POLICY_SOCKET, Target
from mailfleet.host.templates import render
from mailfleet.host.tls_guideline import server_tls
from mailfleet.model import Address, Host, SendingAddress, Stream

INBOUND = "postfix"
CLOCK_CHANGE = "mailfleet-clock-change.timer"
# Octets of free disk below which an instance takes no more mail. Inbound stops first: its 60 processes
# may then still write a message of 10 MB each, twice (queue and maildir), and the streams have theirs.
INBOUND_FREE = 1_500_000_000
STREAM_FREE = 250_000_000


def unit(suite: str, instance: str) -> str:
    """The systemd unit of an instance, e.g. `postfix@postfix-orders.service` on Debian 12."""
    if release_of(suite).has_postfix_parent_unit:
        return f"postfix@{'-' if instance == INBOUND else instance}.service"
    if instance == INBOUND:
        return "postfix.service"
    return f"postfix@{instance.removeprefix('postfix-')}.service"


def units(target: Target) -> tuple[str, ...]:
    """The units of all instances, inbound first."""
    instances = (INBOUND, *(sending.instance for sending in target.host.sending))
    return tuple(unit(target.suite, instance) for instance in instances)


def desired(target: Target) -> HostState:
    """All instances of a host with their queues, configuration, log files and sockets."""
    host = target.host
    files, directories, listeners = _inbound(target)
    for sending, stream in target.fleet.host_streams(host):
        files += _stream_files(target, sending, stream)
        directories += _queue(sending.instance)
        listeners += _submission(target, sending, stream)
    files += [
        ConfigFile(
            "/etc/logrotate.d/mailfleet-postfix", render("etc/logrotate.d/mailfleet-postfix")
        ),
        ConfigFile("/etc/sysusers.d/mailfleet-postfix.conf", _MAIL_USER),
        *_clock_change(target),
    ]
    directories.append(Directory(paths.POSTFIX_LOGS, 0o750, "root", "adm"))
    return HostState(
        packages=("logrotate", "openssl", "postfix", "postfix-lmdb"),
        directories=tuple(directories),
        files=tuple(files),
        checks=(
            *(_check(name) for name in (INBOUND, *(s.instance for s in host.sending))),
            Check("user of inbound mail", _CHECK_MAIL_USER),
            Check("queues of streams that leave", _check_queues(host)),
            Check("queue of the Postfix that was here", _CHECK_EARLIER_QUEUE),
        ),
        # Debian 12's generator ties the instances' units to postfix.service when systemd reloads.
        actions=(
            Action("instances", "systemctl daemon-reload", late=True),
            *(
                # Inbound alone: on Debian 13 the streams' units would stop with it.
                Action(
                    _stop(instance),
                    "systemctl stop --job-mode=ignore-dependencies " + unit(target.suite, instance),
                    late=True,
                )
                for instance in (INBOUND, *(sending.instance for sending in host.sending))
            ),
        ),
        services=(
            *((Service("postfix.service"),) if target.release.has_postfix_parent_unit else ()),
            # smtpd reads main.cf when it starts, and asks signers and scanners from then on.
            *(
                Service(name, on_change="reload", reads_certificate=True, late=True)
                for name in units(target)
            ),
            Service("logrotate.timer"),
            Service(CLOCK_CHANGE),
        ),
        # They would copy /etc/resolv.conf into a chroot that no service of ours has.
        masked=("postfix-resolvconf.path", "postfix-resolvconf.service"),
        as_packaged=("postfix@.service", "logrotate.service"),
        listeners=tuple(listeners),
    )


# virtual(8) takes user and group as numbers only, so the number has to be known when it is rendered.
_MAIL_UID = 640
_MAIL_USER = f'u mailfleet-inbound {_MAIL_UID} "mailfleet inbound mail" {paths.MAILDIRS}\n'
# systemd-sysusers takes another number where this one is somebody else's: then nothing may go live.
_CHECK_MAIL_USER = f"""\
if [ "$(id -u mailfleet-inbound):$(id -g mailfleet-inbound)" != {_MAIL_UID}:{_MAIL_UID} ]; then
  echo "user and group mailfleet-inbound must have the number {_MAIL_UID}: $(id mailfleet-inbound)"
  exit 1
fi"""


def _clock_change(target: Target) -> list[ConfigFile]:
    """All instances are reloaded when somebody sets the clock."""
    folder, service = "etc/systemd/system", "mailfleet-clock-change.service"
    return [
        ConfigFile(
            f"/{folder}/{CLOCK_CHANGE}",
            render(f"{folder}/{CLOCK_CHANGE}"),
            affects=(RELOAD, CLOCK_CHANGE),
        ),
        ConfigFile(
            f"/{folder}/{service}",
            render(f"{folder}/{service}", units=units(target)),
            affects=(RELOAD,),
        ),
    ]


def _check_queues(host: Host) -> str:
    wanted = " ".join(sending.instance for sending in host.sending)
    return _CHECK_QUEUES.replace("WANTED", f" {wanted} ")


# An instance whose configuration is gone delivers nothing any more: its accepted mail would be lost.
_CHECK_QUEUES = """\
for folder in /etc/postfix-*; do
  instance=${folder##*/}
  case "WANTED" in *" $instance "*) continue ;; esac
  [ -f "$folder/main.cf" ] || continue
  count=$(cd "/var/spool/$instance" && find incoming active deferred hold maildrop -type f | wc -l)
  if [ "$count" -gt 0 ]; then
    echo "$instance is no longer wanted, but $count mails wait in its queue: deliver them with" \
      "'postqueue -c $folder -f', or delete them with 'postsuper -c $folder -d ALL', then deploy again"
    exit 1
  fi
done"""


# The default instance becomes the inbound one, which sends nothing: what waits there would bounce.
_CHECK_EARLIER_QUEUE = """\
if ! grep -qsxF /etc/postfix/main.cf /var/lib/mailfleet/files/host; then
  count=$(cd /var/spool/postfix && find incoming active deferred hold maildrop -type f 2>/dev/null | wc -l)
  if [ "$count" -gt 0 ]; then
    echo "$count mails wait in the queue of the Postfix that was here before, and would come back to their" \
      "senders: deliver them with 'postqueue -f', or delete them with 'postsuper -d ALL', then deploy again"
    exit 1
  fi
fi"""


def _queue(instance: str) -> list[Directory]:
    """What `postfix check` does not create itself: it makes the queue's folders when it starts."""
    return [
        Directory(paths.configuration(instance)),
        Directory(paths.queue(instance)),
        Directory(f"{paths.queue(instance)}/private", 0o700, "postfix", "root"),
        Directory(paths.data(instance), 0o755, "postfix", "postfix"),
    ]


def _stream_files(target: Target, sending: SendingAddress, stream: Stream) -> list[ConfigFile]:
    folder = paths.configuration(sending.instance)
    affects = (unit(target.suite, sending.instance),)
    domains = tuple(dict.fromkeys((stream.from_domain, stream.return_path)))
    values = {
        "sending": sending,
        "stream": stream,
        "limits": stream.limits,
        # Postfix wants room for one and a half of the largest message at least.
        "minimum_free": max(STREAM_FREE, 2 * stream.limits.message_bytes),
        "processes": connections.stream_processes(
            target.fleet, target.host, stream, target.capacity
        ),
        "waiting_ports": {
            port: waiting
            for (name, port), waiting in connections.waiting_ports(
                target.fleet, target.host
            ).items()
            if name == stream.name
        },
        "retry": stream.retry,
        "has_tls_required": target.release.has_tls_required,
        "domains": domains,
        "protocols": _protocols(sending.addresses),
        "tls": server_tls(target.release),
        "outbound_tls": target.fleet.outbound_tls,
        "policy_socket": POLICY_SOCKET,
        "scanner": stream_milter(stream),
        "signer": stream_signer(stream),
    }
    return [
        ConfigFile(f"{folder}/main.cf", render("etc/postfix-stream/main.cf", **values), affects=affects),
        ConfigFile(
            f"{folder}/master.cf", render("etc/postfix-stream/master.cf", **values), affects=affects
        ),
        _protocols_file(sending.instance, sending.addresses, affects),
        ConfigFile(
            f"{folder}/mx_access", render("etc/postfix-stream/mx_access"), affects=affects
        ),
        ConfigFile(
            f"{folder}/sender_logins", render("etc/postfix-stream/sender_logins", **values),
            affects=affects,
        ),
        ConfigFile(
            f"{folder}/tls_policy", render("etc/postfix-stream/tls_policy", **values),
            affects=affects,
        ),
        ConfigFile(
            f"{folder}/header_checks", render("etc/postfix-stream/header_checks", **values),
            affects=affects,
        ),
        ConfigFile(
            f"{folder}/local_parts", render("etc/postfix-stream/local_parts"), affects=affects
        ),
        _confined(target, sending.instance),
    ]  # fmt: skip


def _inbound(target: Target) -> tuple[list[ConfigFile], list[Directory], list[Listener]]:
    host = target.host
    affects = (unit(target.suite, INBOUND),)
    values = {
        "host": host,
        "mailboxes": mailboxes(target.fleet, host),
        "limits": target.fleet.inbound_limits,
        "minimum_free": INBOUND_FREE,
        "folder": paths.MAILDIRS,
        "full_key": FULL_KEY,
        "full_table": FULL_TABLE,
        "protocols": _protocols(host.addresses),
        "instances": [sending.instance for sending in host.sending],
        "listen": _listen(host),
        "uid": _MAIL_UID,
        "processes": connections.inbound_processes(target.fleet, host, target.capacity),
        "tls": server_tls(target.release),
        "authentication": authentication.SOCKET,
        "scanner": inbound_milter(host),
    }
    files = [
        ConfigFile("/etc/postfix/main.cf", render("etc/postfix/main.cf", **values),
                   affects=(*affects, "instances")),
        ConfigFile("/etc/postfix/master.cf", render("etc/postfix/master.cf", **values), affects=affects),
        _protocols_file(INBOUND, host.addresses, affects),
        *(
            ConfigFile(f"/etc/postfix/{name}", render(f"etc/postfix/{name}", **values), affects=affects)
            for name in ("aliases", "aliases_of_programs", "mailboxes")
        ),
        _confined(target, INBOUND, paths.MAIL),
    ]  # fmt: skip
    directories = [Directory(paths.MAILDIRS, 0o750, "mailfleet-inbound", "mailfleet-inbound")]
    listeners = []
    if host.inbound:
        listeners.append(
            Listener(
                "inbound", "tcp", 25, host.addresses, unit=affects[0], limit=connections.INBOUND
            )
        )
    return files, directories, listeners


def _submission(target: Target, sending: SendingAddress, stream: Stream) -> list[Listener]:
    listeners = []
    waiting = connections.waiting_ports(target.fleet, target.host)
    processes = connections.stream_processes(target.fleet, target.host, stream, target.capacity)
    opened_by = unit(target.suite, sending.instance)
    for purpose, port in (("TLS", stream.tls_port), ("STARTTLS", stream.starttls_port)):
        limit = ConnectionLimit(
            connections.concurrent(stream, processes),
            stream.limits.connections_per_minute,
            waiting_port=waiting[stream.name, port],
        )
        name = f"{stream.name} submission ({purpose})"
        listeners += [
            Listener(name, "tcp", port, sending.addresses, unit=opened_by, limit=limit),
            Listener(
                f"{name}, above the limit", "tcp", waiting[stream.name, port], sending.addresses,
                unit=opened_by, redirected=True,
            ),
        ]  # fmt: skip
    return listeners


def _listen(host: Host) -> list[str]:
    """master.cf's names of the addresses that inbound listens on."""
    return [f"[{a}]" if a.version == 6 else str(a) for a in host.addresses] if host.inbound else []


def _protocols(addresses: tuple[Address, ...]) -> str:
    """Only the families that the address has: a missing one would fall back to another address."""
    return ", ".join(sorted({f"ipv{a.version}" for a in addresses}))


def _stop(instance: str) -> str:
    return f"stop-{instance}"


def _protocols_file(
    instance: str, addresses: tuple[Address, ...], affects: tuple[str, ...]
) -> ConfigFile:
    """A note of the IP versions: after a change of inet_protocols a reload is not enough (postconf(5))."""
    text = f"# IP versions that the running instance was started with.\n{_protocols(addresses)}\n"
    return ConfigFile(
        f"{paths.configuration(instance)}/protocols", text, affects=(*affects, _stop(instance))
    )


def _confined(target: Target, instance: str, *more: str) -> ConfigFile:
    """An instance writes its own queue, its own data, and the folder of the logs."""
    own = (paths.queue(instance), paths.data(instance), *more)
    name = unit(target.suite, instance)
    # On Debian 13 the streams' units are part of this one: when systemd starts it again it restarts them
    # all. So it waits longer each time, up to ten minutes.
    pauses = ("RestartSteps=6", "RestartMaxDelaySec=10min") if name == "postfix.service" else ()
    return drop_in(name, writable=own, stop=_stop(instance), own=pauses)


def _check(instance: str) -> Check:
    return Check(f"Postfix instance {instance}", _CHECK.format(instance=instance))


# postconf reports errors with file and line, but a parameter that does not exist only as a warning
# without its line: here it is an error as well. What a value may be, only the daemon knows: smtpd
# reads them all when it starts, in its stand-alone mode too. grep adds the lines.
_CHECK = """\
folder=$STAGE/etc/{instance}
lines() {{
  while read -r name; do grep -nH "$name *=" "$folder/main.cf" "$folder/master.cf" || :; done
}}
for ask in -n -M -P; do
  postconf -c "$folder" $ask 2>&1 >/dev/null || :
done | sort -u > "$CHECK/postconf"
if [ -s "$CHECK/postconf" ]; then
  cat "$CHECK/postconf"
  sed -n 's/.*unused parameter: \\([a-z0-9_]*\\)=.*/\\1/p' "$CHECK/postconf" | lines
  exit 1
fi
if ! echo QUIT | MAIL_CONFIG=$folder timeout 20 /usr/lib/postfix/sbin/smtpd -S \
    -o queue_directory=/var/spool/postfix -o data_directory=/var/lib/postfix \
    -o maillog_file= -o smtpd_milters= -o syslog_name=mailfleet-check >/dev/null 2>&1; then
  journalctl --sync 2>/dev/null || :
  journalctl -q -t mailfleet-check/smtpd -n 2 -o cat | tee "$CHECK/smtpd"
  sed -n 's/.*configuration: \\([a-z0-9_]*\\) =.*/\\1/p' "$CHECK/smtpd" | lines
  exit 1
fi"""
