"""SSH, fail2ban, sandboxes, the way out: what is rendered for each release and set of addresses."""

from __future__ import annotations

import configparser
import re
from ipaddress import ip_network

import pytest

from mailfleet.host import sandbox
from mailfleet.host.state import HostState
from roles import desired, fail2ban, postfix
from tests.unit.roles.test_roles import HOSTS, SUITES, content, target_of

pytestmark = pytest.mark.unit

SSHD = "/etc/ssh/sshd_config.d/10-mailfleet.conf"
JAILS = "/etc/fail2ban/jail.d/mailfleet.local"


def directives(text: str) -> list[tuple[str, str]]:
    """Key and value of each line of a unit file, in their order."""
    rows = [line for line in text.splitlines() if line and line[0] not in "#["]
    return [(key, value) for key, _, value in (row.partition("=") for row in rows)]


def jails(kind: str, suite: str = "bookworm") -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(content(desired(target_of(kind, suite)), JAILS))
    return parser


@pytest.mark.parametrize("suite", SUITES)
def test_ssh_takes_keys_only_and_knows_its_own_words(suite: str) -> None:
    text = content(desired(target_of("both", suite)), SSHD)
    settings = dict(line.split(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    assert settings["AuthenticationMethods"] == "publickey"
    assert settings["PasswordAuthentication"] == settings["KbdInteractiveAuthentication"] == "no"
    assert settings["PermitRootLogin"] == "prohibit-password"
    # OpenSSH 9.2 and 9.6 would refuse the whole file for these.
    assert ("mlkem768x25519-sha256" in settings["KexAlgorithms"]) == (suite == "trixie")
    assert ("PerSourcePenaltyExemptList" in settings) == (suite == "trixie")
    assert "sha1" not in text
    # paramiko, with which pyinfra connects, knows one of each.
    assert "curve25519-sha256@libssh.org" in settings["KexAlgorithms"]
    assert "aes256-ctr" in settings["Ciphers"]
    assert "hmac-sha2-256-etm@openssh.com" in settings["MACs"]


@pytest.mark.parametrize("kind", HOSTS)
def test_jails_cover_the_ports_and_logs_of_the_host(kind: str) -> None:
    parser = jails(kind)
    host = target_of(kind).host
    sending = bool(host.sending)
    wanted = {
        "submission": sending,
        "idle": sending or host.inbound,
        "inbound": host.inbound,
        "sshd": True,
    }
    assert parser.sections() == [name for name, there in wanted.items() if there]
    assert all(parser.getboolean(name, "enabled") for name in parser.sections())
    assert parser["sshd"]["port"] == str(host.ssh_port)
    logs = {name: tuple((parser[name].get("logpath") or "").split()) for name in parser.sections()}
    assert logs == fail2ban.jails(target_of(kind))
    # The SSH jail reads the journal: no release has a file for it.
    assert parser["sshd"]["backend"] == "systemd"
    if host.sending:
        submission = parser["submission"]
        # Those where connections above the limits come to, too: a ban is looked at after that.
        ports = "465,587,2465,2587,14001,14002,14003,14004"
        assert (submission["port"], submission["backend"]) == (ports, "polling")
        assert logs["submission"] == tuple(
            f"/var/log/postfix/{s.instance}.log" for s in host.sending
        )


IDLE = """\
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: SSL_accept error from unknown[192.0.2.1]: Connection timed out
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: timeout after CONNECT from ns.core.test[2001:db8::1]
Nov 27 21:37:25 mta1 postfix/smtpd[11]: timeout after STARTTLS from unknown[192.0.2.2]
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: SSL_accept error from unknown[192.0.2.3]: lost connection
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: lost connection after CONNECT from unknown[192.0.2.4]
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: timeout after RSET from unknown[192.0.2.5]
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: timeout after END-OF-MESSAGE from unknown[192.0.2.6]
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: disconnect from unknown[192.0.2.7] ehlo=1 auth=0/1 commands=1/2
Nov 27 21:37:25 mta1 postfix-orders/smtpd[11]: disconnect from unknown[192.0.2.8] ehlo=1 auth=1 commands=2
"""


def test_idle_clients_are_those_that_never_logged_in() -> None:
    """As fail2ban reads it, with Python's expressions; what it writes for an address and the prefix."""
    filters = content(desired(target_of("both")), "/etc/fail2ban/filter.d/mailfleet-idle.conf")
    expressions = [
        row.removeprefix("failregex =").strip().replace("<ADDR>", r"(?P<address>\S+)")
        for row in re.findall(r"^(?:failregex = | {12})\^.*$", filters, re.MULTILINE)
    ]
    assert len(expressions) == 3
    lines = [line.split("]: ", 1)[1] for line in IDLE.splitlines()]
    found = [m["address"] for line in lines for e in expressions if (m := re.search(e, line))]
    assert found == ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.7"]


def test_the_fleet_is_never_banned() -> None:
    spared = {ip_network(text) for text in jails("both")["submission"]["ignoreip"].split()}
    fleet = target_of("both").fleet
    own = {ip_network(str(a)) for host in fleet.hosts for a in host.all_addresses}
    assert len(own) == 8
    assert spared == {ip_network("127.0.0.0/8"), ip_network("::1"), *own}


def test_who_comes_back_is_remembered_for_longer_than_the_longest_ban() -> None:
    parser = jails("both")
    assert parser["submission"]["bantime.increment"] == "true"
    assert parser["submission"]["bantime.maxtime"] == "1d"
    state = desired(target_of("both"))
    assert "\ndbpurgeage = 8d\n" in content(state, "/etc/fail2ban/fail2ban.d/mailfleet.local")


@pytest.mark.parametrize("kind", ["both", "silent"])
def test_the_logs_exist_before_fail2ban_starts(kind: str) -> None:
    text = content(desired(target_of(kind)), sandbox.path_of(fail2ban.UNIT))
    (touch,) = (value for key, value in directives(text) if key == "ExecStartPre")
    files = [file for logs in fail2ban.jails(target_of(kind)).values() for file in logs]
    assert touch == f"+/usr/bin/touch -a {' '.join(dict.fromkeys(files))}"


def confined(state: HostState) -> dict[str, list[tuple[str, str]]]:
    units = sandbox.confined(tuple(file.path for file in state.files))
    return {unit: directives(content(state, sandbox.path_of(unit))) for unit in units}


@pytest.mark.parametrize("suite", SUITES)
def test_every_service_that_faces_others_is_confined(suite: str) -> None:
    target = target_of("both", suite)
    state = desired(target)
    found = confined(state)
    # What only loads rules, sets a clock or waits for a time; Debian 12's postfix.service is empty.
    bare = {"ufw.service", "systemd-timesyncd.service", "unattended-upgrades.service"}
    bare |= {"postfix.service"} - set(postfix.units(target))
    services = {s.unit for s in state.services if not s.unit.endswith(".timer")}
    assert services - set(found) == bare
    for unit, rows in found.items():
        names = [key for key, _ in rows]
        # Lists add to what the package allows, unless they are emptied first.
        for key in ("CapabilityBoundingSet", "RestrictAddressFamilies", "SystemCallFilter"):
            assert (key, "") in rows
            assert names.index(key) == rows.index((key, ""))
        assert ("ProtectSystem", "strict") in rows
        assert ("NoNewPrivileges", "yes") in rows
        (file,) = (f for f in state.files if f.path == sandbox.path_of(unit))
        assert {"units", unit} <= set(file.affects)


@pytest.mark.parametrize("suite", SUITES)
def test_an_instance_writes_its_own_queue_and_a_new_sandbox_restarts_it(suite: str) -> None:
    state = desired(target_of("both", suite))
    unit = postfix.unit(suite, "postfix-orders")
    paths = [value for key, value in confined(state)[unit] if key == "ReadWritePaths"]
    assert paths == ["/var/log/postfix", "/var/spool/postfix-orders", "/var/lib/postfix-orders"]
    (file,) = (f for f in state.files if f.path == sandbox.path_of(unit))
    # A reload, by which the instance learns of other changes, would keep the old sandbox.
    assert file.affects == ("units", "stop-postfix-orders", unit)
    actions = [action.name for action in state.actions]
    assert actions.index("units") < actions.index("stop-postfix-orders")


def test_the_signer_has_neither_root_nor_network() -> None:
    rows = confined(desired(target_of("both")))["opendkim@orders.service"]
    assert [value for key, value in rows if key == "CapabilityBoundingSet"] == [""]
    assert {("User", "opendkim"), ("PrivateNetwork", "yes")} <= set(rows)
    assert ("RestrictAddressFamilies", "AF_UNIX") in rows


def test_a_signer_sees_the_keys_of_its_own_domain_only() -> None:
    rows = confined(desired(target_of("both")))
    keys = "/etc/opendkim/keys"
    for stream, domain in (("orders", "shop.example"), ("news", "news.shop.example")):
        own = rows[f"opendkim@{stream}.service"]
        assert ("TemporaryFileSystem", f"{keys}:ro") in own
        assert [value for key, value in own if key == "BindReadOnlyPaths"] == [f"-{keys}/{domain}"]


def test_an_unknown_service_has_no_sandbox() -> None:
    with pytest.raises(KeyError):
        sandbox.drop_in("exim4.service")


def test_port_25_out_is_for_postfix() -> None:
    state = desired(target_of("both"))
    rules = content(state, "/etc/ufw/mailfleet-egress.rules").splitlines()
    assert [rule for rule in rules if rule.startswith("-A")] == [
        "-A mailfleet-egress -m owner --uid-owner postfix -j RETURN",
        '-A mailfleet-egress -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "',
        "-A mailfleet-egress -p tcp -j REJECT --reject-with tcp-reset",
    ]
    (script,) = (file for file in state.files if file.path == "/etc/ufw/before.init")
    # ufw runs it only if it may be executed.
    assert script.mode == 0o750
    assert 'egress="! -o lo -p tcp -m tcp --dport 25 --syn -j mailfleet-egress"' in script.content
    assert 'for version in "" 6; do' in script.content
    assert "for tables in iptables ip6tables; do" in script.content


def test_upgrades_take_the_security_suites_alone() -> None:
    text = content(desired(target_of("both")), "/etc/apt/apt.conf.d/52-mailfleet")
    origins = re.findall(r'^ +"(origin=[^"]+)";$', text, re.MULTILINE)
    assert len(origins) == 2
    assert all("-security" in origin for origin in origins)
    assert text.index("#clear Unattended-Upgrade::Origins-Pattern") < text.index("Pattern {")
    restart = content(desired(target_of("both")), "/etc/needrestart/conf.d/mailfleet.conf")
    assert "$nrconf{restart} = 'a';" in restart
