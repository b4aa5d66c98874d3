"""A fleet of bare hosts: what is done, in which order, and that no secret is seen on the way."""

from __future__ import annotations

import base64
import gzip
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from mailfleet.facts.processes import PROCESS

if TYPE_CHECKING:
    from tests.deploy.conftest import Command, Project

pytestmark = pytest.mark.deploy

GUARD = "/usr/sbin/policy-rc.d"


def first(commands: list[Command], *parts: str) -> int:
    """The position of the first command that contains all `parts`."""
    return next(i for i, c in enumerate(commands) if all(part in c.text for part in parts))


def changes(commands: list[Command]) -> list[Command]:
    """The commands that are no questions: those of operations."""
    asking = (
        ". /etc/os-release",
        "dpkg-query -W",
        f"sh -c {shlex.quote(PROCESS)}".rstrip("'"),
        "stat -c",
        "if command -v python3",
        "systemctl show",
        "cat /var/lib/mailfleet/certificate",
    )
    return [command for command in commands if not command.text.startswith(asking)]


def meaning(command: Command) -> tuple[str, bytes]:
    """A command with its archive unpacked: gzip writes the time into its header."""
    stdin = command.stdin
    return command.text, gzip.decompress(base64.b64decode(stdin)) if stdin else b""


@pytest.mark.parametrize("index", [0, 1])
def test_packages_then_keys_then_files_then_services(project: Project, index: int) -> None:
    project.wipe()
    run = project.pyinfra("-y", "--json")
    assert run.code == 0, run.stderr
    assert run.totals == {"success": 12, "error": 0, "no_change": 0}
    commands = run.on(project.hosts[index])
    order = [
        first(commands, "apt-get", "apt install --"),
        first(commands, "openssl ecparam"),
        first(commands, "openssl req -x509"),
        first(commands, "openssl genrsa", "generate", " shop.example "),
        first(commands, "openssl genrsa", "generate", " news.shop.example "),
        first(commands, "install dkim"),
        first(commands, "install host"),
        first(commands, "ufw --force enable"),
        first(commands, "systemctl enable"),
        first(commands, "systemctl start ufw.service"),
        first(commands, "systemctl start unbound.service"),
        first(commands, "systemctl start", "opendkim@"),
        first(commands, "systemctl start", "postfix"),
        first(commands, "systemctl start", "dovecot.service"),
        first(commands, "systemctl start", "nginx.service"),
        # The authority asks the web server of every host, so all of them run by then.
        first(commands, "certificate run"),
    ]
    assert order == sorted(order)
    # The guard is in place before apt runs: no service starts with Debian's configuration.
    packages = commands[order[0]].text
    assert packages.index(f"> {GUARD}") < packages.index("apt-get")
    assert packages.index("trap ") < packages.index(f"> {GUARD}")


def test_every_unit_is_enabled_and_started_by_its_name(project: Project) -> None:
    project.wipe()
    run = project.pyinfra("-y")
    for host in project.hosts:
        state = project.desired(host)
        enable = next(c.text for c in run.on(host) if c.text.startswith("systemctl enable"))
        assert enable.split()[3:] == [service.unit for service in state.services]
        started = [
            unit
            for c in run.on(host)
            for units in re.findall(r"systemctl start (.*?) \|\|", c.text)
            for unit in units.split()
        ]
        assert started == [service.unit for service in state.services if service.runs]


def test_all_files_of_the_roles_are_sent_at_once(project: Project) -> None:
    project.wipe()
    run = project.pyinfra("-y")
    for host in project.hosts:
        (sent,) = (c.files() for c in run.on(host) if c.text.endswith("install host"))
        state = project.desired(host)
        assert {n: c for n, c in sent.items() if n.startswith("files/")} == {
            f"files{file.path}": file.data.decode(errors="surrogateescape") for file in state.files
        }
        assert sent["stale.list"] == ""


@pytest.mark.parametrize(("index", "port"), [(0, 22), (1, 2222)])
def test_the_way_in_is_open_before_the_firewall_is_on(
    project: Project, index: int, port: int
) -> None:
    project.wipe()
    commands = project.pyinfra("-y").on(project.hosts[index])
    installed = first(commands, "install host")
    assert installed < first(commands, "ufw --force enable")
    assert not [c for c in commands[:installed] if "ufw" in c.text and "enable" in c.text]
    for name, chain in (("user.rules", "ufw"), ("user6.rules", "ufw6")):
        rules = commands[installed].files()[f"files/etc/ufw/{name}"].splitlines()
        assert f"-A {chain}-user-input -p tcp --dport {port} -j ACCEPT" in rules
        other = 22 if port == 2222 else 2222
        assert not [rule for rule in rules if f"--dport {other} " in rule]


@pytest.mark.parametrize("options", [("-y",), ("-y", "-vvv", "--debug"), ("-y", "--diff")])
def test_secrets_are_only_ever_on_standard_input(
    project: Project, options: tuple[str, ...]
) -> None:
    project.wipe()
    run = project.pyinfra(*options)
    assert run.code == 0, run.stderr
    hidden = [*project.logins.values()]
    hidden += [base64.b64encode(text.encode()).decode() for text in hidden]
    hidden += [command.stdin for command in run.commands if command.stdin]
    for text in hidden:
        assert text not in run.output
        assert not [command for command in run.commands if text in command.text]
    assert "PRIVATE KEY" not in run.output
    # The hashes did reach the hosts, or the test would say nothing.
    for host in project.hosts:
        sent = [c.files() for c in run.on(host) if c.text.endswith("install host")]
        (logins,) = (files["files/etc/dovecot/mailfleet/logins"] for files in sent)
        assert logins == "".join(f"{k}:{v}\n" for k, v in project.logins.items())


def test_private_keys_are_made_on_the_host_and_not_read(project: Project) -> None:
    project.wipe()
    commands = project.pyinfra("-y").commands
    for command in changes(list(commands)):
        text, content = meaning(command)
        assert "PRIVATE KEY" not in text
        assert b"PRIVATE KEY" not in content
    # Certificates and public halves are read; `cat` of a key would be a leak.
    reading = [c.text for c in commands if ".private" in c.text or "host.key" in c.text]
    assert reading
    assert not [text for text in reading if text.startswith(("cat ", "base64 "))]


def test_a_dry_run_does_nothing(project: Project) -> None:
    project.wipe()
    run = project.pyinfra("--dry", "--json")
    assert run.code == 0, run.stderr
    assert set(run.plan) == {
        "Packages",
        "TLS | Certificate to start with",
        "TLS | Certificate of the authority",
        "DKIM | Keys and signing tables",
        "Configuration",
        "Services",
    }
    everywhere = sorted(f"@fake/{host}" for host in project.hosts)
    assert {tuple(sorted(hosts)) for hosts in run.plan.values()} == {tuple(everywhere)}
    assert changes(list(run.commands)) == []


def test_a_confirmed_run_does_the_same_as_an_unattended_one(project: Project) -> None:
    project.wipe()
    unattended = project.pyinfra("-y")
    confirmed = project.pyinfra(enter=True)
    assert confirmed.code == 0, confirmed.stderr
    for host in project.hosts:
        assert [meaning(c) for c in changes(confirmed.on(host))] == [
            meaning(c) for c in changes(unattended.on(host))
        ]


def test_a_host_does_not_sign_before_its_key_is_in_dns(project: Project) -> None:
    project.wipe()
    run = project.pyinfra("-y")
    for host in project.hosts:
        (tables,) = (c.files() for c in run.on(host) if c.text.endswith("install dkim"))
        # Rows that name a missing key: OpenDKIM answers such mail with a temporary failure.
        signing = [tables[name] for name in tables if name.endswith(".signing.table")]
        rows = [row.split()[0] for text in signing for row in text.splitlines()]
        assert set(rows) >= {"*@shop.example", "*@news.shop.example", "*"}
        assert {tables[name] for name in tables if name.endswith(".key.table")} == {""}
        selector = f"{'-'.join(host.split('.')[:2])}-2026q4"
        for domain in ("shop.example", "news.shop.example"):
            record = f"{selector}._domainkey.{domain}"
            assert f"not signing with {selector} yet: {record} is not in DNS" in run.output
