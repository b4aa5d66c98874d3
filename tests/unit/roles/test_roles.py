"""What the roles want of a host, on each release and with each set of addresses."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailfleet.facts.tls import FOLDER
from mailfleet.host.releases import RELEASES
from mailfleet.host.resources import TEMPLATES
from mailfleet.host.sandbox import path_of
from mailfleet.host.state import HostState
from mailfleet.host.target import Authority, Roots, Target
from mailfleet.model import Fleet
from mailfleet.project import inventory
from roles import desired, postfix, tls
from tests.builders import fleet_around

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
SUITES = tuple(RELEASES)
NAME = "mta1.eu.shop.example"
HOSTS: dict[str, dict[str, Any]] = {
    "both": {
        "addresses": ["192.0.2.10", "2001:db8::10"],
        "streams": {
            "orders": ["192.0.2.11", "2001:db8::11"],
            "news": ["192.0.2.12", "2001:db8::12"],
        },
    },
    "ipv4": {"streams": {"orders": ["192.0.2.11"], "news": ["192.0.2.12"]}},
    "ipv6": {"streams": {"orders": ["2001:db8::11"], "news": ["2001:db8::12"]}},
    "shared": {
        "addresses": ["192.0.2.10"],
        "streams": {"orders": ["192.0.2.11"], "news": "orders"},
        "ssh_port": 2222,
    },
    "inbound only": {"addresses": ["192.0.2.10"], "streams": {}},
    "idle": {"addresses": ["192.0.2.10"], "inbound": False, "streams": {}},
    "silent": {"inbound": False, "streams": {"orders": ["192.0.2.11"], "news": ["192.0.2.12"]}},
}
DOMAIN: dict[str, Any] = {
    "streams": {
        "orders": {"logins": ["shop", "accounts"]},
        "news": {
            "from_domain": "news.shop.example",
            "logins": ["newsletter"],
            "tls_port": 2465,
            "starttls_port": 2587,
        },
    }
}


def with_host(data: dict[str, Any], more: dict[str, Any] | None = None) -> Fleet:
    """A fleet of the host under test and another one that takes inbound mail."""
    return fleet_around(NAME, data, {**DOMAIN, **(more or {})})


def target_of(kind: str, suite: str = "bookworm", roots: Roots | None = None) -> Target:
    fleet = with_host(HOSTS[kind])
    logins = {login: f"$6$salt${login}" for login in ("shop", "accounts", "newsletter")}
    return Target(fleet, fleet.host(NAME), suite, logins, roots)


def content(state: HostState, path: str) -> str:
    (file,) = (file for file in state.files if file.path == path)
    return file.content


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", HOSTS)
def test_a_host_is_complete_and_consistent(kind: str, suite: str) -> None:
    state = desired(target_of(kind, suite))
    assert len({service.unit for service in state.services}) == len(state.services)
    assert len({action.name for action in state.actions}) == len(state.actions)
    assert Counter(d.path for d in state.directories).most_common(1)[0][1] == 1
    assert list(state.packages) == sorted(set(state.packages))
    for file in state.files:
        # What is configured, and what of ours runs or is shown to others.
        assert file.path.startswith(("/etc/", "/usr/local/lib/mailfleet/", "/var/lib/mailfleet/"))
        # systemd takes an empty file for a mask.
        assert file.binary or file.content.endswith("\n") or "-generators/" in file.path
        if not file.path.endswith(".py"):
            assert not re.search(r"\{\{|\{%|\bNone\b", file.content), file.path
        assert "\n\n\n" not in file.content or file.path.endswith(".py"), file.path
    # Actions run because a file changed; one that no file affects would never run.
    affected = {name for file in state.files for name in file.affects}
    assert affected >= {action.name for action in state.actions}


# What is read at each use, or by programs that are no services.
UNREAD = {
    "/etc/hosts",
    "/etc/mailname",
    "/etc/resolv.conf",
    "/etc/apt/apt.conf.d/52-mailfleet",
    "/etc/needrestart/conf.d/mailfleet.conf",
    "/etc/sysusers.d/mailfleet-authentication.conf",
    "/etc/sysusers.d/mailfleet-message.conf",
    "/etc/sysusers.d/mailfleet-opendkim.conf",
    "/etc/sysusers.d/mailfleet-postfix.conf",
    "/etc/logrotate.d/mailfleet-postfix",
    "/etc/dovecot/mailfleet/logins",
    # The agent of the certificate starts anew each time; what it has to do, a deploy finds out.
    "/etc/mailfleet/certificate.json",
    # A program's version stands in its unit, which affects it.
    "/usr/local/lib/mailfleet/agent.pyz",
    "/var/lib/mailfleet/acme/.well-known/acme-challenge/mailfleet-verify",
}


@pytest.mark.parametrize("suite", SUITES)
def test_what_a_unit_reads_affects_it(suite: str) -> None:
    state = desired(target_of("both", suite))
    assert {file.path for file in state.files if not file.affects} == UNREAD
    for sending in target_of("both").host.sending:
        unit = postfix.unit(suite, sending.instance)
        paths = {file.path for file in state.files if unit in file.affects}
        names = (
            "main.cf",
            "master.cf",
            "protocols",
            "mx_access",
            "sender_logins",
            "tls_policy",
            "header_checks",
            "local_parts",
        )
        sandbox = path_of(unit)
        assert paths == {*(f"/etc/{sending.instance}/{name}" for name in names), sandbox}
    inbound = {f.path for f in state.files if postfix.unit(suite, "postfix") in f.affects}
    own = ("main.cf", "master.cf", "protocols", "aliases", "aliases_of_programs", "mailboxes")
    sandbox = path_of(postfix.unit(suite, "postfix"))
    assert inbound == {*(f"/etc/postfix/{name}" for name in own), sandbox}


def test_new_ip_versions_restart_an_instance() -> None:
    """postconf(5), inet_protocols: "stop and start Postfix after changing this parameter"."""
    before, after = desired(target_of("ipv4")), desired(target_of("both"))
    files = {file.path: file for file in before.files}
    changed = {f for file in after.files if files.get(file.path) != file for f in file.affects}
    for instance in ("postfix", *(s.instance for s in target_of("both").host.sending)):
        assert f"stop-{instance}" in changed
    assert "stop-postfix" in {action.name for action in after.actions}


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("bookworm", ["postfix@-.service", "postfix@postfix-orders.service"]),
        ("noble", ["postfix@-.service", "postfix@postfix-orders.service"]),
        ("trixie", ["postfix.service", "postfix@orders.service"]),
    ],
)
def test_the_units_of_each_release(suite: str, expected: list[str]) -> None:
    units = postfix.units(target_of("both", suite))
    assert list(units[:2]) == expected
    services = [service.unit for service in desired(target_of("both", suite)).services]
    assert [unit for unit in services if unit in units] == list(units)
    assert ("postfix.service" in services) == (suite == "trixie") or services.index(
        "postfix.service"
    ) < services.index(units[0])


@pytest.mark.parametrize("kind", HOSTS)
def test_services_start_in_the_order_of_their_needs(kind: str) -> None:
    services = [service.unit for service in desired(target_of(kind)).services]
    signing = ["opendkim@orders.service", "mailfleet-message@orders.service"]
    if not target_of(kind).host.sending:
        signing = []
    wanted = ["ufw.service", "unbound.service", *signing, "postfix@-.service"]
    assert [unit for unit in services if unit in wanted] == wanted


@pytest.mark.parametrize("name", ["prod", "staging"])
@pytest.mark.parametrize("suite", SUITES)
def test_the_shipped_inventories_can_be_rendered(
    name: str, suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    fleet = inventory.read(f"inventories/{name}")
    logins = {login: "$6$x$y" for stream in fleet.streams for login in stream.logins}
    for host in fleet.hosts:
        state = desired(Target(fleet, host, suite, logins))
        assert content(state, "/etc/hostname") == f"{host.name}\n"
        instances = {sending.instance for sending in host.sending}
        assert {f.path.split("/")[2] for f in state.files if "postfix-" in f.path[:13]} == instances


def test_no_table_type_that_a_release_may_lack() -> None:
    # Debian 13 and later builds of Postfix may come without Berkeley DB (decision D12).
    texts = {path: path.read_text() for path in TEMPLATES.rglob("*.j2")}
    assert len(texts) > 10
    assert [path.name for path, text in texts.items() if re.search(r"\b(hash|btree):", text)] == []


@pytest.mark.parametrize("suite", SUITES)
def test_what_reads_the_certificate_is_told_of_a_new_one(suite: str) -> None:
    target = target_of("both", suite)
    state = desired(target)
    told = json.loads(content(state, tls.CONFIG))["units"]
    assert told == [*postfix.units(target), "dovecot.service", "nginx.service"]
    reading = {unit for file in state.files if FOLDER in file.content for unit in file.affects} - {
        action.name for action in state.actions
    }
    assert reading <= {*told, tls.TIMER}


def test_the_agent_is_told_what_the_host_needs() -> None:
    target = target_of("both")
    found = json.loads(content(desired(target), tls.CONFIG))
    assert found["names"] == list(tls.names(target))
    assert found["lineages"] == [{"name": NAME, "key_type": "ecdsa"}]
    assert found["addresses"] == [
        *map(str, target.host.all_addresses),
        "192.0.2.91",
        "192.0.2.92",
    ]
    assert found["directory"] == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert (found["public"], found["bundle"], found["contact"]) == (False, None, None)


def test_a_lab_has_an_authority_of_its_own() -> None:
    target = replace(target_of("both"), authority=Authority("https://acme.core.test/dir", "PEM\n"))
    state = desired(target)
    found = json.loads(content(state, tls.CONFIG))
    assert found["directory"] == "https://acme.core.test/dir"
    assert content(state, found["bundle"]) == "PEM\n"


def test_the_web_server_answers_challenges_and_asks_its_peers() -> None:
    text = content(desired(target_of("both")), "/etc/nginx/nginx.conf")
    assert "server 192.0.2.91:80 max_fails=0;" in text
    assert "listen 80 default_server;" in text
    assert "listen [::]:80 default_server ipv6only=on;" in text
    assert "443" not in text, "no policy, no TLS"
    text = content(desired(target_of("ipv6")), "/etc/nginx/nginx.conf")
    assert "server [2001:db8::91]:80 max_fails=0;" in text
    assert "listen 80" not in text


def test_policies_are_served_where_mail_comes_in() -> None:
    policy = {"mta_sts": {"mode": "testing"}}
    fleet = with_host(HOSTS["both"], policy)
    target = replace(target_of("both"), fleet=fleet, host=fleet.host(NAME))
    state = desired(target)
    text = content(state, "/etc/nginx/nginx.conf")
    assert "server_name mta-sts.shop.example;" in text
    assert "ssl_reject_handshake on;" in text
    served = content(state, "/var/lib/mailfleet/mta-sts/mta-sts.shop.example.txt")
    assert served == (
        "version: STSv1\r\nmode: testing\r\n"
        f"mx: {NAME}\r\nmx: mta9.us.shop.example\r\nmax_age: 604800\r\n"
    )
    assert {x.port for x in state.listeners if "MTA-STS" in x.purpose} == {443}


def test_the_certificate_names_host_helo_and_endpoints() -> None:
    assert tls.names(target_of("both")) == (
        NAME,
        f"orders.{NAME}",
        f"news.{NAME}",
        "smtp-orders.shop.example",
        "smtp-orders-eu.shop.example",
        "smtp-news.shop.example",
        "smtp-news-eu.shop.example",
    )
    assert f"news.{NAME}" not in tls.names(target_of("shared"))


@pytest.mark.parametrize(
    ("kind", "nameserver", "ip4", "ip6"),
    [
        ("both", "127.0.0.1", "yes", "yes"),
        ("ipv4", "127.0.0.1", "yes", "no"),
        ("ipv6", "::1", "no", "yes"),
    ],
)
def test_the_resolver_is_asked_where_it_listens(
    kind: str, nameserver: str, ip4: str, ip6: str
) -> None:
    # With `do-ip4: no` unbound does not listen on 127.0.0.1 either.
    state = desired(target_of(kind))
    unbound = content(state, "/etc/unbound/unbound.conf")
    assert f"\n    do-ip4: {ip4}\n    do-ip6: {ip6}\n" in unbound
    assert f"\nnameserver {nameserver}\n" in content(state, "/etc/resolv.conf")
    sockets = {str(a) for x in state.listeners if x.purpose == "resolver" for a in x.addresses}
    assert sockets == {a for a, on in (("127.0.0.1", ip4), ("::1", ip6)) if on == "yes"}
    assert 'auto-trust-anchor-file: "/var/lib/unbound/root.key"' in unbound
    assert "root-hints" not in unbound


def test_a_lab_has_a_root_of_its_own() -> None:
    roots = Roots(". NS ns.test.\n", ". DS 1 2 3 4\n")
    state = desired(target_of("both", roots=roots))
    assert content(state, "/etc/unbound/root.hints") == roots.hints
    assert content(state, "/etc/unbound/root.anchor") == roots.anchor
    unbound = content(state, "/etc/unbound/unbound.conf")
    assert 'root-hints: "/etc/unbound/root.hints"' in unbound
    assert 'trust-anchor-file: "/etc/unbound/root.anchor"' in unbound
    assert "auto-trust-anchor-file" not in unbound
    assert 'local-zone: "test." nodefault' in unbound
    unread = {file.path for file in state.files if not file.affects}
    assert unread == UNREAD


def test_the_names_of_a_host() -> None:
    state = desired(target_of("both"))
    assert content(state, "/etc/mailname") == f"{NAME}\n"
    assert content(state, "/etc/hosts").splitlines()[2:] == [
        f"192.0.2.10 {NAME} mta1",
        f"2001:db8::10 {NAME} mta1",
    ]
    trusted = content(state, "/etc/opendkim/trusted.hosts").splitlines()
    assert trusted == ["127.0.0.1", "::1", *map(str, target_of("both").host.all_addresses)]


@pytest.mark.parametrize("suite", SUITES)
def test_logins_are_for_dovecot_only(suite: str) -> None:
    state = desired(target_of("both", suite))
    (logins,) = (f for f in state.files if f.path == "/etc/dovecot/mailfleet/logins")
    assert (logins.mode, logins.owner, logins.group) == (0o640, "root", "dovecot")
    assert logins.content.splitlines() == [
        "shop:$6$salt$shop",
        "accounts:$6$salt$accounts",
        "newsletter:$6$salt$newsletter",
    ]
    assert "$6$" not in repr(logins)
    assert "$6$" not in repr(target_of("both", suite))
    assert [f.path for f in state.files if "$6$" in f.content] == [logins.path]
    (folder,) = (d for d in state.directories if d.path == "/etc/dovecot/mailfleet")
    assert folder.mode == 0o750


@pytest.mark.parametrize(("suite", "old"), [("bookworm", 1), ("noble", 1), ("trixie", 0)])
def test_dovecots_language_of_each_release(suite: str, old: bool) -> None:
    text = content(desired(target_of("both", suite)), "/etc/dovecot/dovecot.conf")
    assert ("dovecot_config_version" in text) != old
    assert ("driver = passwd-file" in text) == old
    sockets = re.findall(r"unix_listener (\S+) \{\n    mode = 0660\n    user = postfix\n", text)
    assert sockets == [f"/var/spool/postfix-{name}/private/auth" for name in ("orders", "news")]
