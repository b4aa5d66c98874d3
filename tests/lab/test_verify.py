"""`mailfleet verify` finds what it shall find: hosts are broken in many ways, and each is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from mailfleet.lab.plan import REVERSE_ZONES

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

EU4, EU6 = "198.51.100.12", "2001:db8:e0::12"
US4, US6 = "203.0.113.12", "2001:db8:50::12"
KEYS = "/etc/opendkim/keys"


@dataclass(frozen=True)
class Breakage:
    """One thing that goes wrong on a host, and what verify has to say about it."""

    name: str
    region: str
    command: str
    found: dict[str, str]
    """Each check that fails, and words of its message; all others pass."""
    undo: str = ""
    """Where a deploy cannot know: what it never made, or what lives in the kernel alone."""


BREAKAGES = [
    Breakage(
        "a port is opened with ufw",
        "eu",
        "ufw allow 8080/tcp",
        {
            "files.contents": "/etc/ufw/user.rules was changed",
            "firewall.ufw_rules": "not planned: 8080/tcp allow from Anywhere",
            "firewall.kernel_ipv4": "not planned: -A ufw-user-input -p tcp -m tcp --dport 8080",
            "firewall.kernel_ipv6": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8080",
        },
    ),
    Breakage(
        "a rule of ufw is deleted",
        "us",
        f"ufw delete allow to {US6} port 465 proto tcp",
        {
            "files.contents": "/etc/ufw/user6.rules was changed",
            "firewall.ufw_rules": f"lacks the rule: {US6} 465/tcp allow from Anywhere (v6)",
            "firewall.kernel_ipv6": f"lacks the rule: -A ufw6-user-input -d {US6}/128 -p tcp",
            "postfix.greets": f"{US6} port 465 does not answer",
            "relay.from_outside": f"{US6} port 465 does not answer",
            "tls.versions": f"{US6} port 465 does not answer",
        },
    ),
    Breakage(
        "ufw is switched off",
        "eu",
        "ufw disable",
        {
            "files.contents": "/etc/ufw/ufw.conf was changed",
            "firewall.ufw_rules": "ufw is not active",
            "firewall.kernel_ipv4": "lacks the rule: -A ufw-user-input -p tcp -m tcp --dport 22",
            "firewall.kernel_ipv6": "lacks the rule: -A ufw6-user-input -p tcp -m tcp --dport 22",
        },
    ),
    Breakage(
        "a port is opened with iptables, past ufw",
        "us",
        "iptables -I INPUT -p tcp --dport 8081 -j ACCEPT",
        {"firewall.kernel_all": "not planned: -A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT"},
        undo="iptables -D INPUT -p tcp --dport 8081 -j ACCEPT",
    ),
    Breakage(
        "a port is opened with ip6tables, in ufw's own chain",
        "eu",
        "ip6tables -I ufw6-user-input -p tcp --dport 8082 -j ACCEPT",
        {
            "firewall.kernel_ipv6": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8082",
            "firewall.kernel_all": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8082",
        },
        undo="ip6tables -D ufw6-user-input -p tcp --dport 8082 -j ACCEPT",
    ),
    Breakage(
        "another program listens",
        "us",
        # Returns once the port is open.
        "systemd-run --quiet --unit=stray --service-type=notify python3 -c '"
        'import os, socket, subprocess, time; s = socket.create_server(("127.0.0.1", 8083));'
        ' subprocess.run(["systemd-notify", "--ready"]); time.sleep(600)\'',
        {"sockets.as_planned": "python3 listens on tcp 127.0.0.1 port 8083, which is not planned"},
        undo="systemctl stop stray",
    ),
    Breakage(
        "a signing key becomes readable by all",
        "eu",
        f"chmod 644 {KEYS}/shop.test/mta1-eu-2026q4.private",
        {"files.private_keys": "mta1-eu-2026q4.private is 0644 opendkim:opendkim, expected 0600"},
        undo=f"chmod 600 {KEYS}/shop.test/mta1-eu-2026q4.private",
    ),
    Breakage(
        "the certificate's file becomes readable by all",
        "us",
        "chmod 644 /etc/mailfleet/tls/chain.pem",
        {"files.private_keys": "/etc/mailfleet/tls/chain.pem is 0644 root:root, expected 0640"},
    ),
    Breakage(
        "the signing table belongs to somebody else",
        "eu",
        "chown postfix /etc/opendkim/signing.table",
        {"files.owners": "signing.table is 0640 postfix:opendkim, expected 0640 root:opendkim"},
    ),
    Breakage(
        "the signer is stopped",
        "us",
        "systemctl stop opendkim",
        {"services.running": "opendkim.service is not running"},
    ),
    Breakage(
        "a stream's instance is stopped",
        "eu",
        "systemctl stop postfix@postfix-marketing",
        {
            "services.running": "postfix@postfix-marketing.service is not running",
            "sockets.as_planned": f"nothing listens on tcp {EU4} port 587",
            "postfix.greets": f"{EU4} port 465 does not answer",
            "relay.from_outside": f"{EU4} port 465 does not answer",
            "relay.from_the_host": f"{EU4} port 465 does not answer",
            "tls.versions": f"{EU4} port 465 does not answer",
        },
    ),
    Breakage(
        "Dovecot does not start at boot",
        "us",
        "systemctl disable --quiet dovecot",
        {"services.enabled": "dovecot.service is not enabled"},
    ),
    Breakage(
        "main.cf is edited",
        "us",
        "postconf -c /etc/postfix-marketing smtpd_client_message_rate_limit=0",
        {
            "files.contents": "/etc/postfix-marketing/main.cf was changed",
            "postfix.main_cf": "smtpd_client_message_rate_limit is '0', expected '3000'",
        },
    ),
    Breakage(
        "inbound becomes an open relay",
        "eu",
        "postconf -c /etc/postfix mynetworks=0.0.0.0/0,[::]/0 && postfix reload",
        {
            "files.contents": "/etc/postfix/main.cf was changed",
            "postfix.main_cf": "mynetworks is '0.0.0.0/0,[::]/0', expected '127.0.0.0/8 [::1]/128'",
            "relay.from_outside": "open relay: inbound at 198.51.100.10 port 25 for the world",
            "relay.from_the_host": "open relay: inbound at 198.51.100.10 port 25 for the host itself",
        },
    ),
    Breakage(
        "submission asks for no login",
        "us",
        "postconf -c /etc/postfix-marketing 'smtpd_client_restrictions =' 'smtpd_relay_restrictions ="
        " permit' 'smtpd_sender_restrictions =' && postfix -c /etc/postfix-marketing reload",
        {
            "files.contents": "/etc/postfix-marketing/main.cf was changed",
            "postfix.main_cf": "smtpd_relay_restrictions is 'permit', expected",
            "relay.from_outside": f"open relay: marketing submission at {US4} port 587",
            "relay.from_the_host": f"open relay: marketing submission at {US4} port 587",
        },
    ),
    Breakage(
        "a package is removed",
        "us",
        "dpkg --remove --force-depends dns-root-data",
        {"packages.installed": "package dns-root-data is not installed"},
    ),
    Breakage(
        "the certificate is replaced",
        "eu",
        "cd /etc/mailfleet/tls && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -keyout /root/key -out /root/cert -days 5 -subj / -addext subjectAltName=DNS:x.test"
        " 2>/dev/null && cat /root/key /root/cert > chain.pem && postmulti -p reload",
        {
            "tls.certificates": "the certificate is not trusted: self-signed certificate",
        },
    ),
    Breakage(
        "a sending address is gone",
        "us",
        f"ip address del {US4}/24 dev $(ip -o addr show to {US4} | cut -d' ' -f2)",
        {
            "addresses.configured": f"address {US4} is on no interface",
            "addresses.greeting": f"from {US4}, inbound at 198.51.100.10 port 25 cannot be reached",
            "postfix.greets": f"{US4} port 465 does not answer",
            "relay.from_outside": f"{US4} port 465 does not answer",
            "relay.from_the_host": f"{US4} port 465 does not answer",
            "tls.versions": f"{US4} port 465 does not answer",
        },
        undo=f"ip address add {US4}/24 dev $(ip -o addr show to 203.0.113.10 | cut -d' ' -f2)",
    ),
]


def verified(on: DeployedLab, host: str) -> dict[str, dict[str, Any]]:
    """The checks of one host, by name, as `mailfleet verify --json` tells them."""
    done = on.mailfleet("verify", "inventories/lab", "--limit", host, "--json")
    assert done.returncode in (0, 1), done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert {check["host"] for check in checks} == {host}
    return {check["name"]: check for check in checks}


def failures(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What failed, with its message."""
    return {name: c["message"] for name, c in checks.items() if c["outcome"] != "passed"}


def assert_found(found: dict[str, str], expected: dict[str, str], host: str) -> None:
    """Exactly the expected checks have failed, each in the expected words."""
    assert sorted(found) == sorted(expected), found
    for name, words in expected.items():
        assert words in found[name]
        assert all(line.startswith(f"{host}: ") for line in found[name].splitlines())


def test_a_deployed_fleet_passes(deployed_lab: DeployedLab) -> None:
    done = deployed_lab.mailfleet("verify", "inventories/lab")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on 2 hosts" in done.stdout
    assert " 0 failed" in done.stdout
    # It only looked.
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_broken_host_is_found(deployed_lab: DeployedLab, breakage: Breakage) -> None:
    host = {"eu": deployed_lab.eu, "us": deployed_lab.us}[breakage.region]
    deployed_lab.on(host, breakage.command)
    try:
        found = failures(verified(deployed_lab, host))
    finally:
        if breakage.undo:
            deployed_lab.on(host, breakage.undo)
        deployed_lab.repair()
    assert_found(found, breakage.found, host)


def changed_dns(
    on: DeployedLab, zone: str, change: Callable[[dns.update.UpdateMessage], None]
) -> None:
    """Change a zone by hand, past mailfleet."""
    files = lab.files(on.name)
    message = dns.update.UpdateMessage(
        zone,
        keyring=dns.tsigkeyring.from_text({files.tsig.name: files.tsig.secret}),
        keyname=dns.name.from_text(files.tsig.name),
        keyalgorithm=files.tsig.algorithm,
    )
    change(message)
    answer = namespaces.inside(
        namespaces.internet(on.name),
        lambda: dns.query.tcp(message, str(files.nameserver[0]), timeout=5),
    )
    assert answer.rcode() == dns.rcode.NOERROR


def test_a_missing_ptr_record_is_found(deployed_lab: DeployedLab) -> None:
    name = dns.name.from_text(ip_address(EU6).reverse_pointer)
    zone = next(z for z in REVERSE_ZONES if name.is_subdomain(dns.name.from_text(z)))
    changed_dns(deployed_lab, zone, lambda message: message.delete(name, "PTR"))
    try:
        found = failures(verified(deployed_lab, deployed_lab.eu))
    finally:
        deployed_lab.repair()
    words = f"{EU6} has no PTR record at ns.core.test"
    assert_found(found, {"addresses.reverse_dns": words}, deployed_lab.eu)


def test_another_key_in_dns_is_found(deployed_lab: DeployedLab) -> None:
    name = dns.name.from_text("mta1-us-2026q4._domainkey.news.shop.test.")
    changed_dns(
        deployed_lab,
        "shop.test",
        lambda message: message.replace(
            name, 5, "TXT", '"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQE"'
        ),
    )
    try:
        found = failures(verified(deployed_lab, deployed_lab.us))
    finally:
        deployed_lab.repair()
    words = "mta1-us-2026q4._domainkey.news.shop.test has p=...G9w0BAQE at ns.core.test"
    assert_found(
        found, {"dkim.published": words.replace("p=...G9w0BAQE", "p=...")}, deployed_lab.us
    )


def test_repaired_hosts_pass_again(deployed_lab: DeployedLab) -> None:
    for host in (deployed_lab.eu, deployed_lab.us):
        assert failures(verified(deployed_lab, host)) == {}


@pytest.mark.parametrize("limit", ["asia", "mta9.eu.shop.test", ""])
def test_no_host_at_all_is_wrong_usage(deployed_lab: DeployedLab, limit: str) -> None:
    done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", limit)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"no host is called or grouped {limit!r}" in done.stderr
