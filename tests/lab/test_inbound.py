"""Port 25 and strangers: whom they reach, and how much of the disk they get."""

from __future__ import annotations

import smtplib
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from agent.maildirs import main as maildirs
from mailfleet.host.mailboxes import FULL_TABLE
from mailfleet.host.paths import MAILDIRS
from roles import postfix
from tests.lab.test_mail import SUITES, arrived, bounced, inbound, submit

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

SENDER = "stranger@inbox.test"


def deliver(deployed: DeployedLab, host: str, recipients: list[str], text: str) -> list[int]:
    """Bring a message to a host's port 25; the replies to its recipients, then to the message."""
    with inbound(deployed, str(deployed.fleet.host(host).addresses[0])) as smtp:
        smtp.ehlo("stranger.inbox.test")
        smtp.mail(SENDER)
        codes = [smtp.docmd(f"RCPT TO:<{recipient}>")[0] for recipient in recipients]
        if 250 in codes:
            codes.append(
                smtp.data(f"From: {SENDER}\r\nSubject: {text}\r\n\r\n{text}\r\n".encode())[0]
            )
        return codes


def count(deployed: DeployedLab, host: str, text: str) -> int:
    """How many files in all maildirs of a host contain `text`."""
    return int(deployed.on(host, f"grep -rlF {text} {MAILDIRS} | wc -l"))


def test_people_read_postmaster_and_no_program_does(deployed_lab: DeployedLab, host: str) -> None:
    token = uuid.uuid4().hex
    # What a .forward could do: it ran with the rights of Postfix's unit.
    deployed_lab.on(host, "printf '|/usr/bin/touch /tmp/forwarded\\n' > /var/www/.forward")
    try:
        taken = [
            "postmaster",
            f"Abuse@{host}",
            f"postmaster@marketing.{host}",
            "abuse@bounce.shop.test",
        ]
        for number, recipient in enumerate(taken):
            text = f"{number}-{token}"
            assert deliver(deployed_lab, host, [recipient], text) == [250, 250], recipient
            bounced(
                deployed_lab,
                "bounce.shop.test" if "bounce" in recipient else "shop.test",
                text,
                (host,),
            )
        for recipient in ("root", f"www-data@{host}", f"opendkim@{host}", "www-data@[127.0.0.1]"):
            assert deliver(deployed_lab, host, [recipient], token) == [550], recipient
        # Programs on the host write to root as ever; www-data's .forward is nobody's business then either.
        for user in ("root", "www-data"):
            deployed_lab.on(host, f"printf 'Subject: x\\n\\n{user}-{token}\\n' | sendmail {user}")
            bounced(deployed_lab, "shop.test", f"{user}-{token}", (host,))
    finally:
        deployed_lab.on(host, "rm -f /var/www/.forward")
    assert (
        deployed_lab.on(
            host, "ls /tmp/forwarded /var/mail/root /var/mail/www-data 2>/dev/null || true"
        )
        == ""
    )
    assert "local" not in deployed_lab.on(host, "postconf -M").split()


def test_a_message_is_kept_once_for_each_domain(deployed_lab: DeployedLab, host: str) -> None:
    text = uuid.uuid4().hex
    recipients = [f"user{number}@shop.test" for number in range(60)]
    recipients += [f"user{number}@bounce.shop.test" for number in range(41)]
    codes = deliver(deployed_lab, host, recipients, text)
    # RFC 5321 §4.5.3.1.8: a hundred are taken; the others are tried again by their sender.
    assert codes == [250] * 100 + [452, 250]
    found = bounced(deployed_lab, "bounce.shop.test", text, (host,))
    assert "Delivered-To: mailbox@bounce.shop.test" in found
    assert count(deployed_lab, host, text) == 2
    single = uuid.uuid4().hex
    assert deliver(deployed_lab, host, [f"bounce+{single}@shop.test"], single) == [250, 250]
    assert f"for <bounce+{single}@shop.test>" in bounced(deployed_lab, "shop.test", single, (host,))


def test_full_maildirs_take_no_more_and_lose_nothing(deployed_lab: DeployedLab, host: str) -> None:
    text = uuid.uuid4().hex
    # In a lab that was started from another one's files the table lies in overlayfs's lower layer, and who
    # has it open does not see the copy that the first change makes.
    unit = postfix.unit(SUITES["eu" if host == deployed_lab.eu else "us"], postfix.INBOUND)
    deployed_lab.on(host, f"touch {FULL_TABLE}.lmdb && systemctl reload {unit}")
    assert deliver(deployed_lab, host, [f"before-{text}@shop.test"], text) == [250, 250]
    bounced(deployed_lab, "shop.test", text, (host,))
    large = f"{MAILDIRS}/shop.test/new/large"
    try:
        deployed_lab.on(host, f"fallocate -l 2100M {large} && systemctl start mailfleet-maildirs")
        assert "full: port 25 answers 452" in deployed_lab.on(
            host, "journalctl -u mailfleet-maildirs -n 3 -o cat"
        )
        assert deliver(deployed_lab, host, ["orders@shop.test"], text) == [452]
        assert deliver(deployed_lab, host, ["root@shop.test.example"], text) == [554]
        assert count(deployed_lab, host, text) == 1
    finally:
        # What is old stays as long as new mail where nothing was deleted before.
        deployed_lab.on(host, f"touch -d '40 days ago' {large}; systemctl start mailfleet-maildirs")
        still_there = deployed_lab.on(host, f"ls {large} 2>/dev/null || true")
        # Later it goes by itself, and with it the answer.
        since = f"{PurePosixPath(FULL_TABLE).parent}/{maildirs.MARK}"
        deployed_lab.on(host, f"touch -d '39 days ago' {since}; systemctl start mailfleet-maildirs")
    assert still_there == f"{large}\n"
    assert deployed_lab.on(host, f"ls {large} 2>/dev/null || true") == ""
    assert deliver(deployed_lab, host, ["orders@shop.test"], uuid.uuid4().hex) == [250, 250]


@pytest.fixture
def small_disk(deployed_lab: DeployedLab, host: str, region: str) -> Iterator[str]:
    """Queues and maildirs on a disk of their own, a little larger than inbound wants to see free."""
    instances = [postfix.INBOUND, *(s.instance for s in deployed_lab.fleet.host(host).sending)]
    units = " ".join(postfix.unit(SUITES[region], instance) for instance in instances)
    folders = " ".join([*(f"/var/spool/{instance}" for instance in instances), MAILDIRS])
    disk = "/srv/small"
    move = (
        f"systemctl stop {units}; mkdir -p {disk}"
        f" && mount -t tmpfs -o size={postfix.INBOUND_FREE + 8_000_000} small {disk}"
        f" && for folder in {folders}; do name=$(echo $folder | tr / _);"
        f" cp -a $folder {disk}/$name && mount --bind {disk}/$name $folder; done"
        f" && systemctl restart dovecot && systemctl start {units}"
    )
    back = (
        f"systemctl stop {units}; for folder in {folders}; do umount $folder; done; umount {disk};"
        f" rmdir {disk}; systemctl restart dovecot; systemctl start {units}"
    )
    try:
        deployed_lab.on(host, move)
        yield disk
    finally:
        deployed_lab.on(host, back)
        assert deployed_lab.pyinfra("deploys/mta.py").changes == 0


def test_a_stranger_who_fills_the_disk_stops_no_stream(
    deployed_lab: DeployedLab, host: str, small_disk: str
) -> None:
    token = uuid.uuid4().hex
    padding = "x" * 70 + "\r\n"
    accepted: list[str] = []
    code = 250
    # 1 MB each, so that the disk is too full for strangers after a few.
    while code == 250 and len(accepted) < 20:
        text = f"{token}-{len(accepted)}"
        codes = flood(deployed_lab, host, f"{text}\r\n" + padding * 15_000)
        code = codes[-1]
        accepted += [text] * (code == 250)
    assert code == 452, "inbound stops while the disk still has room"
    assert accepted, "the flood was let in at first"
    # The streams go on: each on this host, to the end.
    machine = deployed_lab.fleet.host(host)
    for sending, stream in deployed_lab.fleet.host_streams(machine):
        recipient = f"stream-{uuid.uuid4().hex}@inbox.test"
        submit(deployed_lab, sending, stream, recipient)
        arrived(deployed_lab, recipient)
    # Then the rest is taken by whatever else: now nobody accepts what could not be written.
    deployed_lab.on(host, f"mount -o remount,size={postfix.STREAM_FREE} {small_disk}")
    sending, stream = deployed_lab.fleet.host_streams(machine)[0]
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        submit(deployed_lab, sending, stream, f"late-{token}@inbox.test")
    assert refused.value.smtp_code == 452
    # Nothing that was acknowledged is lost, and with room all goes on.
    deployed_lab.on(host, f"mount -o remount,size={2 * postfix.INBOUND_FREE} {small_disk}")
    for text in accepted:
        bounced(deployed_lab, "shop.test", text, (host,))
    recipient = f"again-{token}@inbox.test"
    submit(deployed_lab, sending, stream, recipient)
    arrived(deployed_lab, recipient)
    assert flood(deployed_lab, host, token)[-1] == 250


def flood(deployed: DeployedLab, host: str, text: str) -> list[int]:
    """Like `deliver`, where MAIL itself may be refused."""
    with inbound(deployed, str(deployed.fleet.host(host).addresses[0])) as smtp:
        smtp.ehlo("stranger.inbox.test")
        codes = [smtp.mail(SENDER)[0]]
        if codes[0] == 250:
            codes.append(smtp.rcpt("orders@shop.test")[0])
        if codes[-1] == 250:
            codes.append(smtp.data(f"From: {SENDER}\r\n\r\n{text}\r\n".encode())[0])
        return codes
