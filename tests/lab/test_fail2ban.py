"""Bans: they come from real failed attempts, show in the kernel, spare who must be spared, and end."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mailfleet.lab import addresses
from mailfleet.project.lab_environment import Lab

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Hosts of the lab that have no business with the ports that they are shut out from.
GUESSER, BYSTANDER = "receiver", "ns"
DEADLINE = 240.0

# Runs on a host of the lab: many attempts at once. Each wrong password is another one.
ATTEMPTS = """
import base64, json, smtplib, ssl, sys
from concurrent.futures import ThreadPoolExecutor
what, address, count, login, password = json.load(sys.stdin)
trust = ssl._create_unverified_context()
def log_in(number):
    try:
        with smtplib.SMTP_SSL(address, 465, context=trust, timeout=60) as smtp:
            smtp.ehlo("client.test")
            # One try: smtplib's own login would try each mechanism.
            tried = password + str(number) * (password == "wrong")
            answer = base64.b64encode(f"\\0{login}\\0{tried}".encode()).decode()
            return str(smtp.docmd("AUTH", f"PLAIN {answer}")[0])
    except (OSError, smtplib.SMTPException) as error:
        return type(error).__name__
def session(_):
    # Wrong ones in the same session, then one more try with what may be the right password.
    with smtplib.SMTP_SSL(address, 465, context=trust, timeout=60) as smtp:
        smtp.ehlo("client.test")
        tried = ["wrong1", "wrong2", "wrong3", password]
        answers = [base64.b64encode(f"\\0{login}\\0{one}".encode()).decode() for one in tried]
        return " ".join(str(smtp.docmd("AUTH", f"PLAIN {answer}")[0]) for answer in answers)
def relay(_):
    try:
        smtp = smtplib.SMTP(address, 25, timeout=60)
        smtp.helo("client.test")
        codes = []
        for _ in range(10):
            smtp.docmd("MAIL", f"FROM:<{login}>")
            codes.append(str(smtp.docmd("RCPT", "TO:<b@elsewhere.test>")[0]))
            smtp.docmd("RSET")
        # No QUIT: a ban also ends what is open, and nobody would answer.
        smtp.close()
        return " ".join(codes)
    except (OSError, smtplib.SMTPException) as error:
        return type(error).__name__
kind = {"login": log_in, "session": session, "relay": relay}[what]
with ThreadPoolExecutor(count) as pool:
    print(json.dumps(list(pool.map(kind, range(count)))))
"""
REACHED = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    print("open")
except ConnectionRefusedError:
    print("refused")
"""


@dataclass(frozen=True)
class Target:
    """A host that is attacked, over one IP version."""

    deployed: DeployedLab
    host: str
    version: int

    @property
    def submission(self) -> str:
        sending = self.deployed.fleet.host(self.host).sending[0]
        return next(str(a) for a in sending.addresses if a.version == self.version)

    @property
    def inbound(self) -> str:
        host = self.deployed.fleet.host(self.host)
        return next(str(a) for a in host.addresses if a.version == self.version)

    def server(self, *words: str) -> str:
        """An answer of fail2ban's server."""
        return self.deployed.on(self.host, shlex.join(("fail2ban-client", *words))).strip()

    def attempts(self, client: str, what: str, *details: Any) -> list[str]:
        """What each attempt came to; `client` is a host of the lab."""
        told = json.dumps([what, *details])
        said = self.deployed.on(client, f"python3 -c {shlex.quote(ATTEMPTS)}", stdin=told)
        found: list[str] = json.loads(said)
        return found

    def guess(self, client: str, count: int) -> list[str]:
        return self.attempts(client, "login", self.submission, count, "orders", "wrong")

    def reached(self, client: str, address: str, port: int) -> str:
        """`open` or `refused`."""
        command = f"python3 -c {shlex.quote(REACHED)} {address} {port}"
        return self.deployed.on(client, command).strip()

    def banned(self, jail: str) -> set[str]:
        return set(self.server("get", jail, "banip").split())

    def kernel(self, jail: str) -> str:
        """What the kernel holds of the jail's bans."""
        name = f"addr{6 if self.version == 6 else ''}-set-{jail}"
        command = f"nft list set inet f2b-table {name} 2>&1 || true"
        return self.deployed.on(self.host, command)


@pytest.fixture(params=[("eu", 4), ("us", 6)], ids=lambda p: f"{p[0]}-{p[1]}")
def target(deployed_lab: DeployedLab, request: pytest.FixtureRequest) -> Iterator[Target]:
    """Both releases and both IP versions; afterwards nobody is banned or remembered."""
    region, version = request.param
    target = Target(deployed_lab, getattr(deployed_lab, region), version)
    forget(target)
    try:
        yield target
    finally:
        forget(target)


# Who was banned before would be banned for longer. How far each log is read has to stay.
FORGET = """
import sqlite3
with sqlite3.connect("/var/lib/fail2ban/fail2ban.sqlite3") as database:
    for table in ("bans", "bips"):
        database.execute(f"delete from {table}")
"""


def forget(target: Target) -> None:
    """fail2ban remembers nobody."""
    target.server("unban", "--all")
    target.deployed.on(target.host, "systemctl stop fail2ban && python3", stdin=FORGET)
    target.deployed.on(target.host, "systemctl restart fail2ban")
    until(lambda: "Jail list" in target.deployed.on(target.host, STATUS), "fail2ban runs")


STATUS = "fail2ban-client status 2>&1 || true"


def of_client(client: str, version: int) -> str:
    """A lab host's address that it connects from."""
    pair = addresses.RECEIVER if client == GUESSER else addresses.NAMESERVER
    return str(pair[0 if version == 4 else 1])


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.2)
    pytest.fail(f"waited in vain: {what}")


def shut_out(target: Target, jail: str, address: str) -> None:
    """The kernel has the ban; fail2ban lists it a moment earlier."""
    until(lambda: address in target.kernel(jail), f"{address} is in the kernel's set of {jail}")


def test_guessing_passwords_is_banned_and_the_ban_outlives_a_reload(target: Target) -> None:
    guesser = of_client(GUESSER, target.version)
    assert target.guess(GUESSER, 19) == ["535"] * 19
    until(lambda: "Currently failed:\t1" in target.server("status", "submission"), "19 are seen")
    assert target.banned("submission") == set()
    target.guess(GUESSER, 1)
    until(lambda: target.banned("submission") == {guesser}, f"{guesser} is banned")
    shut_out(target, "submission", guesser)
    for port in (465, 587):
        assert target.reached(GUESSER, target.submission, port) == "refused"
    # Only what it abused, and only it.
    assert target.reached(GUESSER, target.inbound, 25) == "open"
    assert target.reached(BYSTANDER, target.submission, 587) == "open"
    target.deployed.on(target.host, "ufw reload && systemctl restart fail2ban")
    shut_out(target, "submission", guesser)
    assert target.reached(GUESSER, target.submission, 587) == "refused"


def test_wrong_logins_cost_a_neighbour_nothing(target: Target) -> None:
    password = Lab(target.deployed.name).secret("password-orders", "tests").reveal()
    # One after another: with Dovecot's penalty, which grows, the answers would become 454.
    for _ in range(3):
        assert target.guess(GUESSER, 6) == ["535"] * 6
    found = target.attempts(GUESSER, "login", target.submission, 6, "orders", password)
    assert found == ["235"] * 6
    until(lambda: "Total failed:\t18" in target.server("status", "submission"), "all are counted")


def test_a_ban_ends_by_itself(target: Target) -> None:
    guesser = of_client(GUESSER, target.version)
    target.server("set", "submission", "bantime", "10")
    # Three are enough here, as they are in the tests below.
    target.server("set", "submission", "maxretry", "3")
    assert target.guess(GUESSER, 3) == ["535"] * 3
    shut_out(target, "submission", guesser)
    until(lambda: guesser not in target.kernel("submission"), "the end of the ban")
    assert target.banned("submission") == set()
    assert target.reached(GUESSER, target.submission, 587) == "open"


def test_good_logins_are_never_banned(target: Target) -> None:
    password = Lab(target.deployed.name).secret("password-orders", "tests").reveal()
    for _ in range(2):
        found = target.attempts(BYSTANDER, "login", target.submission, 20, "orders", password)
        assert found == ["235"] * 20
    # What fail2ban has read of the log by then includes them: a wrong one comes after.
    assert target.guess(BYSTANDER, 1) == ["535"]
    until(lambda: "Total failed:\t1" in target.server("status", "submission"), "the wrong one")
    assert target.banned("submission") == set()


def test_each_wrong_login_of_a_session_counts_and_the_right_one_does_not(target: Target) -> None:
    password = Lab(target.deployed.name).secret("password-orders", "tests").reveal()
    found = target.attempts(GUESSER, "session", target.submission, 2, "orders", password)
    assert found == ["535 535 535 235"] * 2
    until(
        lambda: "Total failed:\t6" in target.server("status", "submission"), "all six are counted"
    )
    # What fail2ban has read of the log by then includes the right ones: a wrong one comes after.
    assert target.guess(GUESSER, 1) == ["535"]
    until(lambda: "Total failed:\t7" in target.server("status", "submission"), "the seventh")


def test_the_fleets_own_hosts_are_spared(target: Target) -> None:
    deployed = target.deployed
    other = deployed.us if target.host == deployed.eu else deployed.eu
    target.server("set", "submission", "maxretry", "3")
    assert target.guess(other, 4) == ["535"] * 4
    own = next(str(a) for a in deployed.fleet.host(other).addresses if a.version == target.version)
    ignored = f"[submission] Ignore {own} by ip"
    until(
        lambda: ignored in deployed.on(target.host, "journalctl -q -b -u fail2ban -o cat -n 200"),
        f"fail2ban says that it ignores {own}",
    )
    assert target.banned("submission") == set()
    assert target.reached(other, target.submission, 465) == "open"


def test_attempts_to_relay_are_banned(target: Target) -> None:
    stranger = of_client(BYSTANDER, target.version)
    # Ten to a session; after twenty errors Postfix itself ends it.
    found = target.attempts(BYSTANDER, "relay", target.inbound, 9, "a@evil.test", "")
    until(lambda: "Total failed:\t90" in target.server("status", "inbound"), "ninety attempts")
    assert target.banned("inbound") == set()
    found += target.attempts(BYSTANDER, "relay", target.inbound, 1, "a@evil.test", "")
    assert [len(codes.split()) for codes in found] == [10] * 10
    assert set(" ".join(found).split()) == {"554"}
    until(lambda: target.banned("inbound") == {stranger}, f"{stranger} is banned")
    shut_out(target, "inbound", stranger)
    assert target.reached(BYSTANDER, target.inbound, 25) == "refused"
    assert target.reached(BYSTANDER, target.submission, 587) == "open"


def test_bounces_for_others_are_refused_but_not_counted(target: Target) -> None:
    assert set(target.attempts(BYSTANDER, "relay", target.inbound, 3, "", "")) == {
        " ".join(["554"] * 10)
    }
    # What fail2ban has read of the log by then includes them: attempts to relay come after.
    target.attempts(BYSTANDER, "relay", target.inbound, 1, "a@evil.test", "")
    until(lambda: "Total failed:\t10" in target.server("status", "inbound"), "ten attempts")
    assert target.banned("inbound") == set()


def test_knocking_at_ssh_is_banned(target: Target) -> None:
    deployed, guesser = target.deployed, of_client(GUESSER, target.version)
    # sshd of Debian 13 makes guessers wait by itself; it would take this test a minute.
    target.server("set", "sshd", "maxretry", "3")
    key = "rm -f /root/k /root/k.pub; ssh-keygen -q -t ed25519 -N '' -f /root/k"
    deployed.on(GUESSER, key)
    options = (
        "-F none -i /root/k -o BatchMode=yes -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o ConnectTimeout=10"
    )
    said = []
    for user in ("root", "admin", "root"):
        # The ban may come amid the last connection, and nobody answers any more.
        command = f"timeout 20 ssh {options} {user}@{target.inbound} true 2>&1 || true"
        said.append(deployed.on(GUESSER, command))
    assert "Permission denied (publickey)" in said[0]
    until(lambda: target.banned("sshd") == {guesser}, f"{guesser} is banned: {said}")
    shut_out(target, "sshd", guesser)
    assert target.reached(GUESSER, target.inbound, 22) == "refused"
    assert target.reached(GUESSER, target.inbound, 25) == "open"
