"""Judging jails, sandboxes, sshd, kernel settings and the way out, on what the tools really print."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.host.sandbox import SANDBOXES, limit
from mailfleet.verify import firewall, jails, kernel, sandbox, ssh

pytestmark = pytest.mark.unit

PLANNED = {
    "submission": ("/var/log/postfix/postfix-a.log", "/var/log/postfix/postfix-b.log"),
    "sshd": (),
}
JAILS = """\
Status
|- Number of jail:\t2
`- Jail list:\tsshd, submission
--- jail submission
Status for the jail: submission
|- Filter
|  |- Currently failed:\t0
|  `- File list:\t/var/log/postfix/postfix-b.log /var/log/postfix/postfix-a.log
`- Actions
--- jail sshd
Status for the jail: sshd
|- Filter
|  `- Journal matches:\t_SYSTEMD_UNIT=ssh.service
`- Actions
"""


def test_planned_jails_are_no_problem() -> None:
    assert jails.problems(PLANNED, JAILS) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sshd, submission", "sshd", ["the jail submission is not active"]),
        ("ssh.service", "sshd.service", ["the jail sshd reads _SYSTEMD_UNIT=sshd.service, "
         "expected the journal of ssh.service"]),
        (" /var/log/postfix/postfix-a.log", "", ["the jail submission reads /var/log/postfix/"
         "postfix-b.log, expected /var/log/postfix/postfix-a.log /var/log/postfix/postfix-b.log"]),
    ],
)  # fmt: skip
def test_jails_that_would_not_fire(old: str, new: str, said: list[str]) -> None:
    assert jails.problems(PLANNED, JAILS.replace(old, new)) == said


def test_a_server_that_is_not_there() -> None:
    text = (
        "ERROR  Failed to access socket path: /var/run/fail2ban/fail2ban.sock. Is fail2ban running?"
    )
    assert jails.problems(PLANNED, text) == [f"fail2ban does not answer: it says {text}"]


SCORES = """\
→ Overall exposure level for a.service: 5.0 OK :-)
→ Overall exposure level for b.service: 5.1 MEDIUM :-|
"""


def test_scores() -> None:
    limits = {"a.service": 5.0, "b.service": 5.0, "c.service": 0.9}
    assert sandbox.score_problems(limits, SCORES) == [
        "b.service has exposure 5.1, expected 5.0 at most",
        "systemd gives no score for c.service",
    ]


def test_each_service_has_a_limit_of_its_own() -> None:
    """What Debian's packages bring by themselves is above it."""
    alone = {
        "postfix@marketing": 3.9,
        "postfix-mta-sts-resolver": 2.1,
        "amavis": 6.1,
        "dovecot": 8.5,
    }
    limits = {f"{unit}.service": limit(f"{unit}.service") for unit in alone}
    said = "".join(
        f"→ Overall exposure level for {unit}.service: {score} OK :-)\n"
        for unit, score in alone.items()
    )
    assert len(sandbox.score_problems(limits, said)) == len(alone)
    for service, planned in SANDBOXES.items():
        assert planned.exposure < limit(f"{service}.service") < planned.exposure + 0.3


def test_processes() -> None:
    said = "a.service\tmaster 1\na.service\tqmgr 1\nb.service\tunbound 0\n"
    assert sandbox.process_problems(("a.service", "b.service", "c.service"), said) == [
        "c.service has no process to look at",
        "unbound of b.service runs outside of its sandbox",
    ]


def test_sshd_lets_somebody_in_by_a_password() -> None:
    line = "exception /etc/ssh/sshd_config: Match User x:  AuthenticationMethods password"
    assert ssh.problems("", line) == [
        "sshd lets somebody in without a key, expected keys only: "
        "/etc/ssh/sshd_config: Match User x:  AuthenticationMethods password"
    ]


def test_sshd() -> None:
    planned = "# why\nPermitRootLogin prohibit-password\nLoginGraceTime 30\nX 1.2.3.0/24,::1/128\n"
    good = "permitrootlogin without-password\nlogingracetime 30\nx 1.2.3.0/24,::1/128\n"
    assert ssh.problems(planned, good) == []
    assert ssh.problems(planned, good.replace("without-password", "yes")) == [
        "sshd has 'PermitRootLogin yes', expected 'prohibit-password'"
    ]
    assert ssh.problems("LoginGraceTime 30\n", "sshd: no hostkeys available -- exiting.\n") == [
        "sshd -T does not tell LoginGraceTime; its last words: sshd: no hostkeys available -- exiting."
    ]


def test_kernel_settings() -> None:
    planned = "# why\nnet.a = 1\n-kernel.b = 2\n-kernel.c = 2\nnet.range = 15000 65000\n"
    assert "/proc/sys/net/a /proc/sys/kernel/b" in kernel.command(planned)
    good = "yes /proc/sys/net/a 1\nno /proc/sys/kernel/b 0\nyes /proc/sys/net/range 15000\t65000\n"
    assert kernel.problems(planned, good) == []
    assert kernel.problems(planned, good.replace("no ", "yes ")) == ["kernel.b is 0, expected 2"]
    assert kernel.problems(planned, good.replace("yes /proc/sys/net/a 1", "")) == [
        "net.a is missing, expected 1"
    ]


def test_the_way_out() -> None:
    refused = "192.0.2.25 Connection refused\n2001:db8:c0::25 Connection refused\n"
    both = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    said = f"user root\n{refused}user nobody\n{refused}"
    assert firewall.egress_problems(both, said) == []
    # A host without IPv6 has no way there anyhow.
    without = said.replace("2001:db8:c0::25 Connection refused", "2001:db8:c0::25 unreachable")
    assert firewall.egress_problems(both[:1], without) == []
    assert len(firewall.egress_problems(both, without)) == 2
    assert firewall.egress_problems(both[:1], f"user root\n{refused}") == [
        "port 25 out over IPv4 as nobody: nothing, expected a refusal by the host itself: "
        "only Postfix may send"
    ]
