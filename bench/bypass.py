"""Ways into a stream's instance for smtp-source, which can do neither TLS nor passwords.

They exist on the benchmarks' hosts only, on loopback, beside the stream's own submission services.
All else stays as deployed: queue, header checks, signer, delivery.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import site
from mailfleet import lab
from roles import postfix

HOST = "mta1.eu.shop.test"
SIGNED = 10025
UNSIGNED = 10026
SINK_PORT = 2600
RECIPIENT = "someone@inbox.test"

_OPEN = (
    "smtpd_tls_security_level=none",
    "smtpd_sasl_auth_enable=no",
    "smtpd_client_restrictions=permit",
    "smtpd_sender_restrictions=",
    "mynetworks=127.0.0.0/8",
    "smtpd_relay_restrictions=permit_mynetworks,reject",
    "smtpd_recipient_restrictions=permit_mynetworks,reject",
    "smtpd_client_connection_count_limit=0",
    "smtpd_client_connection_rate_limit=0",
    "smtpd_client_message_rate_limit=0",
    "smtpd_client_recipient_rate_limit=0",
)


def open_instance(
    instance: str,
    *,
    offset: int = 0,
    settings: tuple[str, ...] = (),
    services: tuple[str, ...] = (),
) -> None:
    """Add smtpd on ports SIGNED and UNSIGNED plus `offset`, main.cf's `settings`, more `services`."""
    folder = f"/etc/{instance}"
    lines = []
    for port, extra in ((SIGNED, ()), (UNSIGNED, ("smtpd_milters=",))):
        lines += listener(instance, port + offset, extra)
    for service in services:
        kind = "/".join(service.split()[:2])
        lines.append(f"postconf -c {folder} -M '{kind}={service}'")
    if settings:
        values = " ".join(f"'{setting}'" for setting in settings)
        lines.append(f"postconf -c {folder} -e {values}")
    site.on(HOST, "\n".join([*lines, f"systemctl restart {unit(instance)}"]))


def listener(
    instance: str, port: int, extra: tuple[str, ...] = (), address: str = "127.0.0.1"
) -> list[str]:
    """The commands that add an open smtpd with the parameters `extra`, on loopback by default."""
    folder, name = f"/etc/{instance}", f"{address}:{port}/inet"
    values = " ".join(f"'{name}/{setting}'" for setting in (*_OPEN, *extra))
    return [
        f"postconf -c {folder} -M '{name}={name.replace('/', ' ')} n - n - - smtpd'",
        f"postconf -c {folder} -P {values}",
    ]


def unit(instance: str) -> str:
    """The systemd unit of an instance on HOST."""
    return postfix.unit(site.fleet().host(HOST).suite, instance)


def source(sender: str, messages: int, size: int, port: int, recipient: str = RECIPIENT) -> str:
    """The smtp-source command: 20 sessions at once, a new connection for each message."""
    return (
        f"smtp-source -s 20 -m {messages} -l {size} -f {sender} -t {recipient} "
        f"-M bench.{HOST} 127.0.0.1:{port}"
    )


class Sink:
    """smtp-sink while it runs; it tells each message that it has taken."""

    def __init__(self, process: subprocess.Popen[bytes], messages: int) -> None:
        self._process, self._messages = process, messages

    def wait(self, patience: float) -> None:
        """Return once it has all messages; TimeoutExpired after `patience` seconds."""
        until = time.monotonic() + patience
        assert self._process.stdout is not None
        output, text = self._process.stdout.fileno(), b""
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                raise subprocess.TimeoutExpired("smtp-sink", patience)
            if not (more := os.read(output, 65536)):
                raise site.BenchError("smtp-sink has ended")
            text = (text + more)[-1000:]
            counts = re.findall(rb"mesg=(\d+)\r", text)
            if counts and int(counts[-1]) >= self._messages:
                return


@contextmanager
def sink(messages: int, dump: str = "") -> Iterator[Sink]:
    """smtp-sink on the receiver, listening, until the context ends.

    It does not end by itself after so many messages (`-M`): a message whose reply it cut off would come
    once more, and be counted in the next measurement. `dump` is a file on the receiver that messages are
    written to.
    """
    keep = f"-D {dump}" if dump else ""
    # It says nothing when it listens; its socket does.
    script = f"""\
export PATH=/usr/sbin:$PATH
smtp-sink -c -u postfix {keep} -m 1000 0.0.0.0:{SINK_PORT} 1000 &
until [ "$(ss -Hltn sport = :{SINK_PORT})" ]; do :; done
echo $!
wait $!
"""
    process = subprocess.Popen(
        [*lab.ssh_command(site.NAME, "receiver"), script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    number = process.stdout.readline().decode().strip()
    try:
        yield Sink(process, messages)
    finally:
        # To end ssh does not end what it started.
        site.on("receiver", f"kill {number} || true")
        process.kill()
        process.wait()
        process.stdout.close()


def is_signed(sender: str, port: int) -> bool:
    """Whether a message that goes in at `port` arrives at the sink with a signature."""
    dump = "/tmp/bench-message"  # noqa: S108 - on the receiver, a host of the lab
    site.on("receiver", f"rm -f {dump}")
    with sink(1, dump) as process:
        site.on(HOST, source(sender, 1, 1000, port))
        process.wait(60)
    return "DKIM-Signature:" in site.on("receiver", f"cat {dump}")
