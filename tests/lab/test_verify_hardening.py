"""`mailfleet verify` finds each protection that is switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.test_verify import Breakage, break_and_judge

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Where an operator's own drop-ins go; they are read after ours. Each of the directives that keep a
# process from gaining privileges has to go, or systemd switches it on again.
AFTER = "/run/systemd/system"
SIGNER = f"{AFTER}/opendkim@transactional.service.d"
SYSCALLS = (
    "SystemCallFilter=\\nSystemCallArchitectures=\\nRestrictAddressFamilies=\\n"
    "RestrictNamespaces=no\\nPrivateDevices=no\\nProtectKernelTunables=no\\nProtectKernelModules=no\\n"
    "ProtectKernelLogs=no\\nProtectClock=no\\nMemoryDenyWriteExecute=no\\nRestrictRealtime=no\\n"
    "LockPersonality=no\\nProtectHostname=no\\n"
)
OPEN = (
    "[Service]\\nUser=root\\nNoNewPrivileges=no\\nRestrictSUIDSGID=no\\nProtectSystem=no\\n"
    "ProtectHome=no\\nPrivateTmp=no\\nPrivateNetwork=no\\nProtectControlGroups=no\\nProtectProc=default\\n"
    f"CapabilityBoundingSet=~\\n{SYSCALLS}"
)

# Each round breaks eu (Debian 12) in one way and us (Debian 13) in another.
ROUNDS = [
    (
        Breakage(
            "anybody may send to port 25",
            {
                "firewall.egress": "port 25 out over IPv6 as nobody: connected, expected a refusal",
                "firewall.kernel_all": "lacks the rule: -A mailfleet-egress -p tcp -j REJECT",
            },
            "iptables -F mailfleet-egress; ip6tables -F mailfleet-egress",
            undo="ufw reload",
        ),
        Breakage(
            "a jail is stopped",
            {"fail2ban.jails": "the jail submission is not active"},
            "fail2ban-client stop submission",
            undo="systemctl restart fail2ban",
        ),
    ),
    (
        Breakage(
            "fail2ban is stopped",
            {
                "fail2ban.jails": "fail2ban does not answer",
                "services.running": "fail2ban.service is not running",
                "sandbox.processes": "fail2ban.service has no process to look at",
            },
            "systemctl stop fail2ban",
        ),
        Breakage(
            "a jail reads another file",
            {
                "fail2ban.jails": "the jail inbound reads no file, expected /var/log/postfix/postfix.log"
            },
            "fail2ban-client set inbound dellogpath /var/log/postfix/postfix.log",
            undo="systemctl restart fail2ban",
        ),
    ),
    (
        Breakage(
            "SSH takes passwords",
            {"ssh.settings": "sshd has 'PasswordAuthentication yes', expected 'no'"},
            "echo PasswordAuthentication yes > /etc/ssh/sshd_config.d/00-other.conf",
            undo="rm /etc/ssh/sshd_config.d/00-other.conf",
        ),
        Breakage(
            "a kernel setting is changed, and containers publish ports",
            {
                "kernel.settings": "net.ipv4.conf.all.accept_redirects is 1, expected 0",
                "firewall.kernel_all": (
                    "tcp port 8080 of every IPv4 address leads to a container at 172.17.0.2:80, past ufw",
                    "a container engine has 2 rules of its own in the kernel",
                    "has a table that is not planned: inet netavark",
                ),
            },
            "sysctl -q net.ipv4.conf.all.accept_redirects=1 && iptables -t nat -N DOCKER"
            " && iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER && iptables -t nat -A"
            " DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
            " && nft add table inet netavark",
            undo="sysctl -q net.ipv4.conf.all.accept_redirects=0; nft delete table inet netavark;"
            " iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER;"
            " iptables -t nat -F DOCKER; iptables -t nat -X DOCKER",
        ),
    ),
    (
        Breakage(
            "a sandbox is switched off",
            {
                "sandbox.scores": "opendkim@transactional.service has exposure 9",
                "sandbox.processes": "opendkim of opendkim@transactional.service runs outside of its sandbox",
            },
            f"mkdir -p {SIGNER} && printf '{OPEN}User=opendkim\\n' > {SIGNER}/99.conf"
            " && systemctl daemon-reload"
            " && systemctl restart opendkim@transactional",
            undo=f"rm -r {SIGNER} && systemctl daemon-reload"
            " && systemctl restart opendkim@transactional",
        ),
        Breakage(
            "a service runs as it did before it was confined",
            {"sandbox.processes": "unbound of unbound.service runs outside of its sandbox"},
            f"mkdir -p {AFTER}/unbound.service.d && printf '[Service]\\nNoNewPrivileges=no\\n"
            f"RestrictSUIDSGID=no\\n{SYSCALLS}' > {AFTER}/unbound.service.d/99.conf"
            " && systemctl daemon-reload && systemctl restart unbound"
            f" && rm -r {AFTER}/unbound.service.d && systemctl daemon-reload",
            undo="systemctl restart unbound",
        ),
    ),
]


@pytest.mark.parametrize(
    "breakages", ROUNDS, ids=lambda pair: " and ".join(breakage.name for breakage in pair)
)
def test_what_is_switched_off_is_named(
    deployed_lab: DeployedLab, breakages: tuple[Breakage, Breakage]
) -> None:
    break_and_judge(deployed_lab, breakages)
