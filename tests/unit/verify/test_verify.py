"""Comparing a host with its plan: what is said, on what the tools really print."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.host.observed import FileState, TreeState
from mailfleet.host.state import ConfigFile, Directory, Listener
from mailfleet.verify import files, firewall, postfix, sockets
from mailfleet.verify.once import OncePerHost

pytestmark = pytest.mark.unit

OWN = (ip_address("198.51.100.10"), ip_address("2001:db8:e0::10"))
LISTENERS = (
    Listener("SSH", "tcp", 22),
    Listener("resolver", "udp", 53, (ip_address("127.0.0.1"), ip_address("::1"))),
    Listener("inbound", "tcp", 25, OWN),
)
SS = """\
udp UNCONN 0 0 127.0.0.1:53 0.0.0.0:* users:(("unbound",pid=5,fd=3))
udp UNCONN 0 0 [::1]:53 [::]:* users:(("unbound",pid=5,fd=5))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=34,fd=3))
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=34,fd=4))
tcp LISTEN 0 100 198.51.100.10:25 0.0.0.0:* users:(("master",pid=9,fd=12))
tcp LISTEN 0 100 [2001:db8:e0::10]:25 [::]:* users:(("master",pid=9,fd=16))
"""
STATUS = """\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere                   # mailfleet: SSH
198.51.100.10 25/tcp       ALLOW IN    Anywhere                   # mailfleet: inbound
22/tcp (v6)                ALLOW IN    Anywhere (v6)              # mailfleet: SSH
2001:db8:e0::10 25/tcp     ALLOW IN    Anywhere (v6)              # mailfleet: inbound
"""
SAVED = """\
*filter
:INPUT DROP [7:420]
:ufw-user-input - [0:0]
-A INPUT -j ufw-user-input
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -d 198.51.100.10/32 -p tcp -m tcp --dport 25 -j ACCEPT
COMMIT
"""


def test_planned_sockets_are_no_problem() -> None:
    assert sockets.problems(LISTENERS, OWN, SS) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            'tcp LISTEN 0 5 *:8080 *:* users:(("nc",pid=1,fd=3))',
            "nc listens on tcp any IPv4 port 8080",
        ),
        ("tcp LISTEN 0 5 127.0.0.1:631 0.0.0.0:*", "something listens on tcp 127.0.0.1 port 631"),
        ("udp UNCONN 0 0 [fe80::1]%eth0:161 [::]:*", "something listens on udp fe80::1 port 161"),
    ],
)
def test_other_sockets_are(line: str, said: str) -> None:
    found = sockets.problems(LISTENERS, OWN, SS + line)
    assert f"{said}, which is not planned" in found


@pytest.mark.parametrize(
    "line",
    [
        'udp UNCONN 0 0 198.51.100.10%eth0:68 0.0.0.0:* users:(("systemd-network",pid=1,fd=3))',
        'tcp LISTEN 0 5 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=1,fd=3))',
        'udp UNCONN 0 0 0.0.0.0:40123 0.0.0.0:* users:(("unbound",pid=1,fd=3))',
    ],
)
def test_what_the_system_opens_for_itself_is_none(line: str) -> None:
    assert sockets.problems(LISTENERS, OWN, SS + line) == []


def test_a_missing_socket_is_named() -> None:
    without = "\n".join(line for line in SS.splitlines() if "[2001:db8:e0::10]" not in line)
    said = "nothing listens on tcp 2001:db8:e0::10 port 25, expected inbound"
    assert sockets.problems(LISTENERS, OWN, without) == [said]


def test_planned_rules_are_no_problem() -> None:
    assert firewall.status_problems(LISTENERS, STATUS) == []
    assert firewall.chain_problems(LISTENERS, 4, SAVED) == []
    assert firewall.kernel_problems(SAVED, SAVED.replace("[7:420]", "[9:999]")) == []


def test_changed_rules_are_named() -> None:
    status = STATUS.replace(
        "22/tcp (v6)                ALLOW IN", "22/tcp (v6)                LIMIT IN"
    )
    assert firewall.status_problems(LISTENERS, status) == [
        "ufw lacks the rule: 22/tcp (v6) allow from Anywhere (v6)",
        "ufw has a rule that is not planned: 22/tcp (v6) limit from Anywhere (v6)",
    ]
    opened = STATUS.replace("deny (incoming)", "allow (incoming)")
    assert "ufw has 'Default: allow (incoming)" in firewall.status_problems(LISTENERS, opened)[0]


def test_kernel_rules_count_in_order_and_once() -> None:
    rules = [line for line in SAVED.splitlines() if line.startswith("-A ufw-user")]
    swapped = SAVED.replace("\n".join(rules), "\n".join(reversed(rules)))
    said = ["the kernel has the planned rules in another order or more than once"]
    assert firewall.chain_problems(LISTENERS, 4, swapped) == said
    assert firewall.chain_problems(LISTENERS, 4, SAVED + rules[0] + "\n") == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (":INPUT DROP", ":INPUT ACCEPT", "not planned: :INPUT ACCEPT"),
        (
            "COMMIT",
            "COMMIT\n*nat\n-A PREROUTING -p tcp -j REDIRECT\n",
            "not planned: nat: -A PREROUTING",
        ),
    ],
)
def test_the_whole_kernel_counts(before: str, after: str, said: str) -> None:
    assert said in "\n".join(firewall.kernel_problems(SAVED, SAVED.replace(before, after)))


def test_nothing_to_compare_with_is_a_problem() -> None:
    assert firewall.kernel_problems("", SAVED) != []
    assert firewall.chain_problems(LISTENERS, 6, SAVED) != []
    assert firewall.status_problems(LISTENERS, "") != []


def test_files_are_compared_by_content_owner_and_kind() -> None:
    file = ConfigFile("/etc/x", "text\n", 0o640, "root", "adm")
    good = FileState("regular file", 0o640, "root", "adm",
                     "f52fd37c46a1fcfd0dd5ae2ea34b8ef0b3fb5c8ae0bb2a9a0e2b4df3ee5fa2d9")  # fmt: skip
    assert (
        "/etc/x was changed"
        in files.content_problems([file], TreeState({"/etc/x": good}, frozenset()))[0]
    )
    assert files.content_problems([file], TreeState({}, frozenset())) == ["/etc/x is missing"]
    link = FileState("symbolic link", 0o777, "root", "root")
    assert files.content_problems([file], TreeState({"/etc/x": link}, frozenset())) == [
        "/etc/x is a symbolic link, expected a file"
    ]
    folder = Directory("/etc/x", 0o640, "root", "adm")
    tree = TreeState({"/etc/x": good}, frozenset())
    assert files.owner_problems([folder], tree) == ["/etc/x is a regular file, expected a folder"]


def test_postconf_says_the_same_in_other_lines() -> None:
    planned = "# comment\na = b,\n    # inner comment\n    c\nempty =\n"
    assert (
        postfix.main_problems(planned, "a = b, c\nconfig_directory = /etc/postfix\nempty =\n") == []
    )
    assert postfix.main_problems(
        planned, "a = b\nz = 1\npostconf: warning: unused parameter: z=1"
    ) == [
        "postconf: warning: unused parameter: z=1",
        "a is 'b', expected 'b, c'",
        "empty is not set, expected ''",
        "z is '1', and is not planned",
    ]


def test_services_are_told_apart_by_name_and_type() -> None:
    planned = "smtp unix - - n - - smtp\n192.0.2.1:25 inet n - n - - smtpd\n    -o a=b\n"
    reported = "smtp       unix  -  -  n  -  -  smtp\n192.0.2.1:25 inet n - n - - smtpd -o a=c\n"
    assert postfix.master_problems(planned, reported) == [
        "service 192.0.2.1:25 inet is 'n - n - - smtpd -o a=c', expected 'n - n - - smtpd -o a=b'"
    ]


def test_mail_on_hold_is_named_with_its_instance() -> None:
    assert postfix.hold_problems("postfix", "0\n") == []
    (message,) = postfix.hold_problems("postfix-marketing", "2\n")
    assert message.startswith("postfix-marketing has mail on hold (2), which is ")
    assert "'postsuper -c /etc/postfix-marketing -H ALL'" in message
    said = "find: '/var/spool/postfix/hold': No such file or directory\n0"
    assert postfix.hold_problems("postfix", said) == [
        f"what postfix has on hold cannot be read: {said}"
    ]


def test_all_hosts_are_read_once_and_failures_are_kept() -> None:
    asked: list[str] = []

    def work(name: str) -> str:
        asked.append(name)
        if name == "down":
            raise ValueError(name)
        return name.upper()

    found = OncePerHost(["up", "down"], work)
    assert found["up"] == "UP"
    for _ in range(2):
        with pytest.raises(ValueError, match="down"):
            _ = found["down"]
    assert sorted(asked) == ["down", "up"]
