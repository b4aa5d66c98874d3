"""The mail servers that `bench peers` compares, each as fast as its own manual makes it, and signing.

All run on Debian 13 and take plain SMTP from the receiver's address, so that no set-up pays for TLS,
passwords or look-ups that another is spared. Each queues on the same disk as it does by default (none is
told to forgo its fsync), and hands everything to the sink. Each signs with a 2048-bit RSA key,
relaxed/relaxed, the header fields that it signs by default; ours with those that mailfleet signs.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

from bench import bypass, site
from mailfleet import lab
from mailfleet.host.paths import DKIM_KEYS

OURS = "mta1.us.shop.test"
_OUR_ADDRESS = "203.0.113.10"
_INSTANCE = "postfix-transactional"
_SINK = f"[{site.RECEIVER}]:{bypass.SINK_PORT}"
_FOLDER = "/etc/bench-dkim"
_KEY = f"{_FOLDER}/peer.private"
_HARAKA = ("Haraka@3.3.4", "haraka-plugin-dkim@1.3.1")


@dataclass(frozen=True)
class Setup:
    """`units` are globs of the units whose memory counts; `key` is the path of the key with {d}, {s}."""

    name: str
    host: str
    address: str
    port: int
    sender: str
    units: tuple[str, ...]
    key: str = _KEY


_POSTFIX = "postfix@transactional.service"
_UNSIGNED = Setup(
    "Postfix, unsigned", OURS, _OUR_ADDRESS, 10026, "orders@shop.test", (_POSTFIX,), ""
)
_MAILFLEET = Setup(
    "mailfleet",
    OURS,
    _OUR_ADDRESS,
    10025,
    "orders@shop.test",
    (_POSTFIX, "opendkim@transactional.service", "mailfleet-message@transactional.service"),
    f"{DKIM_KEYS}/{{d}}/{{s}}.private",
)
_RSPAMD = Setup(
    "Postfix with rspamd",
    OURS,
    _OUR_ADDRESS,
    10027,
    "orders@shop.test",
    (_POSTFIX, "rspamd.service"),
)
_EXIM = Setup(
    "Exim", "exim.bench.test", "203.0.113.31", 10025, "a@exim.bench.test", ("exim4.service",)
)
_OPENSMTPD = Setup(
    "OpenSMTPD with filter-dkimsign",
    "opensmtpd.bench.test",
    "203.0.113.32",
    10025,
    "a@opensmtpd.bench.test",
    ("opensmtpd.service",),
)
_HARAKA_SETUP = Setup(
    "Haraka", "haraka.bench.test", "203.0.113.33", 10025, "a@haraka.bench.test", ("haraka.service",)
)
FLOOR, MAILFLEET = _UNSIGNED, _MAILFLEET
SETUPS = (_UNSIGNED, _MAILFLEET, _RSPAMD, _EXIM, _OPENSMTPD, _HARAKA_SETUP)


def machines() -> tuple[lab.Machine, ...]:
    """The hosts of those that cannot share one: Debian lets a host have one mail server."""
    return tuple(
        lab.Machine(setup.host, "trixie", "us", (ip_address(setup.address),))
        for setup in (_EXIM, _OPENSMTPD, _HARAKA_SETUP)
    )


def prepare() -> None:
    """Install and start everything; the hosts of the fleet are deployed already."""
    for setup, install in _INSTALL.items():
        site.say(f"peers: sets up {setup.name}")
        install(setup)
    for setup in SETUPS:
        socket = f"src {setup.address}:{setup.port}"
        site.on(setup.host, f"until ss -Hltn '{socket}' | grep -q .; do sleep 0.2; done")


def _postfix(_setup: Setup) -> None:
    """Three ways into the instance that mailfleet has deployed, which differ in smtpd_milters alone."""
    milters = {
        _MAILFLEET: (),
        _UNSIGNED: ("smtpd_milters=",),
        _RSPAMD: ("smtpd_milters=unix:/run/rspamd/milter.sock",),
    }
    # Nobody logs in here: to the signer the receiver has to be one of the host's own.
    lines = [
        f"postconf -c /etc/{_INSTANCE} -e relayhost={_SINK}",
        f"echo {site.RECEIVER} >> /etc/opendkim/trusted.hosts",
        "systemctl restart opendkim@transactional.service",
    ]
    for setup, extra in milters.items():
        own = (f"mynetworks={site.RECEIVER}", *extra)
        lines += bypass.listener(_INSTANCE, setup.port, own, setup.address)
        rule = f"-s {site.RECEIVER} -p tcp --dport {setup.port} -j ACCEPT"
        lines.append(f"iptables -I INPUT {rule}")
    site.on(OURS, "\n".join([*lines, f"systemctl restart {_POSTFIX}"]))


def _rspamd(setup: Setup) -> None:
    """rspamd as a milter that signs and does nothing else: one process for each core, no scan.

    `settings` leave it that one symbol; the scanner and the controller are off. No public key is
    looked up for each signature.
    """
    _install(setup.host, "rspamd")
    _make_key(setup.host, "_rspamd")
    _write(
        setup.host,
        {
            "/etc/rspamd/local.d/worker-proxy.inc": """\
bind_socket = "/run/rspamd/milter.sock mode=0666";
milter = yes;
timeout = 120s;
count = 2;
upstream "local" { default = yes; self_scan = yes; }
""",
            "/etc/rspamd/local.d/worker-normal.inc": "enabled = false;\n",
            "/etc/rspamd/local.d/worker-controller.inc": "enabled = false;\n",
            "/etc/rspamd/local.d/worker-fuzzy.inc": "enabled = false;\n",
            "/etc/rspamd/local.d/settings.conf": f"""\
sign {{
  priority = high;
  ip = "{site.RECEIVER}";
  apply {{ symbols_enabled = ["DKIM_SIGNED"]; }}
}}
""",
            "/etc/rspamd/local.d/dkim_signing.conf": f"""\
enabled = true;
sign_networks = ["{site.RECEIVER}/32"];
use_domain = "header";
use_esld = false;
allow_hdrfrom_mismatch = true;
allow_username_mismatch = true;
check_pubkey = false;
selector = "peer";
path = "{_KEY}";
""",
        },
    )
    # It compiles its rules before it listens, also those that it is told not to use.
    site.on(
        setup.host,
        "rm -f /run/rspamd/milter.sock\nsystemctl restart rspamd\n"
        "until [ -S /run/rspamd/milter.sock ]; do sleep 0.5; done",
    )


def _exim(setup: Setup) -> None:
    """Exim's own DKIM in its smtp transport.

    Its manual's advice for much mail: a split spool, no message logs. Default limits are raised that
    would turn 20 sessions away or leave their mail to the next queue run (smtp_accept_max 20,
    smtp_accept_queue_per_connection 10). No reverse or ident look-ups, which the others do not do.
    """
    _install(setup.host, "exim4-daemon-light")
    _make_key(setup.host, "Debian-exim")
    _write(
        setup.host,
        {
            "/etc/exim4/exim4.conf": f"""\
primary_hostname = {setup.host}
local_interfaces = {setup.address}
daemon_smtp_ports = {setup.port}
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
split_spool_directory = true
message_logs = false
acl_smtp_rcpt = take
begin acl
take:
  accept hosts = {site.RECEIVER}
begin routers
sink:
  driver = manualroute
  transport = signed
  route_list = * {site.RECEIVER} byname
  self = send
begin transports
signed:
  driver = smtp
  port = {bypass.SINK_PORT}
  hosts_avoid_tls = *
  dkim_domain = {setup.host}
  dkim_selector = peer
  dkim_private_key = {_KEY}
  dkim_canon = relaxed
begin retry
* * F,1h,1m
"""
        },
    )
    # Debian's own file stands in the way of none: exim4.conf is read instead.
    site.on(setup.host, "systemctl restart exim4")


def _opensmtpd(setup: Setup) -> None:
    """OpenSMTPD with the filter of its own authors; its scheduler may start as many as there are.

    By default it takes ten envelopes from the queue at a time.
    """
    _install(setup.host, "opensmtpd opensmtpd-filter-dkimsign")
    _make_key(setup.host, "opensmtpd")
    _write(
        setup.host,
        {
            "/etc/smtpd.conf": f"""\
filter dkim proc-exec "filter-dkimsign -a rsa-sha256 -c relaxed/relaxed -d {setup.host} -s peer \
-k {_KEY}" user opensmtpd group opensmtpd
listen on {setup.address} port {setup.port} hostname {setup.host} filter dkim
action sink relay host smtp://{site.RECEIVER}:{bypass.SINK_PORT}
match from any for any action sink
"""
        },
    )
    site.on(setup.host, "systemctl restart opensmtpd")


def _haraka(setup: Setup) -> None:
    """Haraka from npm, a process for each core, its outbound queue on disk, its DKIM plugin.

    Its default would sign relaxed/simple. A plugin of ten lines lets the receiver's address relay and
    names the next hop, which is what haraka-plugin-relay looks up in files.
    """
    _install(setup.host, "nodejs")
    site.on(setup.host, "id haraka >/dev/null 2>&1 || useradd --system --home /opt/haraka haraka")
    _make_key(setup.host, "haraka")
    _send_haraka(setup.host)
    etc = "/opt/haraka/etc"
    # What "haraka --install" begins with; ours goes over it.
    site.on(
        setup.host,
        f"mkdir -p {etc}/queue\ncp -r /opt/haraka/node_modules/Haraka/config {etc}/",
    )
    _write(
        setup.host,
        {
            f"{etc}/config/smtp.ini": f"listen={setup.address}:{setup.port}\nnodes=cpus\n",
            f"{etc}/config/plugins": "bench\ndkim\n",
            f"{etc}/config/me": f"{setup.host}\n",
            f"{etc}/config/log.ini": "[main]\nlevel=notice\n",
            f"{etc}/config/outbound.ini": "enable_tls=false\n",
            f"{etc}/config/dkim.ini": """\
[sign]
enabled=true
[verify]
enabled=false
[canon]
body=relaxed
""",
            f"{etc}/plugins/bench.js": f"""\
'use strict'
exports.hook_connect = (next, connection) => {{
  connection.relaying = connection.remote.ip === '{site.RECEIVER}'
  next()
}}
exports.hook_rcpt = (next, connection) => next(connection.relaying ? OK : DENY)
exports.hook_get_mx = (next) =>
  next(OK, {{ priority: 0, exchange: '{site.RECEIVER}', port: {bypass.SINK_PORT} }})
""",
            "/etc/systemd/system/haraka.service": f"""\
[Service]
User=haraka
Environment=NODE_ENV=production NODE_PATH=/opt/haraka/node_modules
ExecStart=/usr/bin/node /opt/haraka/node_modules/Haraka/bin/haraka -c {etc}
""",
        },
    )
    domain = f"{etc}/config/dkim/{setup.host}"
    site.on(
        setup.host,
        f"mkdir -p {domain}\ncp {_KEY} {domain}/private\nprintf peer > {domain}/selector\n"
        "chown -R haraka: /opt/haraka/etc\nsystemctl daemon-reload\nsystemctl restart haraka",
    )


_INSTALL: dict[Setup, Callable[[Setup], None]] = {
    _RSPAMD: _rspamd,
    _MAILFLEET: _postfix,
    _EXIM: _exim,
    _OPENSMTPD: _opensmtpd,
    _HARAKA_SETUP: _haraka,
}


def _install(host: str, packages: str) -> None:
    site.on(
        host,
        "export DEBIAN_FRONTEND=noninteractive\napt-get -qq update\n"
        f"apt-get -qq -y install --no-install-recommends {packages} openssl python3 strace >/dev/null",
        patience=1800,
    )


def _make_key(host: str, owner: str) -> None:
    site.on(
        host,
        f"install -d -m 755 {_FOLDER}\n[ -s {_KEY} ] || openssl genrsa -out {_KEY} 2048 2>/dev/null\n"
        f"chown {owner} {_KEY}\nchmod 400 {_KEY}",
    )


def _write(host: str, files: dict[str, str]) -> None:
    """Write files on a host, with their folders."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(text.encode()), 0o644
            archive.addfile(member, BytesIO(text.encode()))
    _unpack(host, buffer.getvalue(), "/")


def _send_haraka(host: str) -> None:
    """npm installs Haraka here, since a lab's host has no way to npm's registry."""
    with tempfile.TemporaryDirectory(prefix="mailfleet-bench-") as folder:
        options = ["--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(
                ["npm", "install", *options, "--prefix", folder, *_HARAKA],
                check=True,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            raise site.BenchError(
                "there is no npm to fetch Haraka with: apt-get install npm"
            ) from None
        except subprocess.CalledProcessError as error:
            raise site.BenchError(f"npm cannot fetch Haraka: {error.stderr[-500:]}") from None
        buffer = BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(Path(folder) / "node_modules", "node_modules")
    site.on(host, "mkdir -p /opt/haraka")
    _unpack(host, buffer.getvalue(), "/opt/haraka")


def _unpack(host: str, archive: bytes, folder: str) -> None:
    command = [*lab.ssh_command(site.NAME, host), f"tar -x --no-same-owner -C {folder} -f -"]
    done = subprocess.run(command, input=archive, capture_output=True, check=False)
    if done.returncode != 0:
        raise site.BenchError(f"{host}: {done.stderr.decode(errors='replace')[-300:]}")
