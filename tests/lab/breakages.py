"""The ways in which `test_verify` breaks hosts, and what verify has to say about each."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

(EU4, EU6), (US4, US6) = ("198.51.100.12", "2001:db8:e0::12"), ("203.0.113.12", "2001:db8:50::12")
KEY = "/etc/opendkim/keys/shop.test/mta1-eu-2026q4.private"
RECORD = "mta1-us-2026q4._domainkey.news.shop.test"

# The certificate's timer, which comes every half hour, waits instead of mending what was broken.
NO_ORDERS = (
    "systemd-run --quiet --unit=no-orders"
    " flock /var/lib/mailfleet/certificate/order.lock sleep infinity"
)
ORDERS = "systemctl stop no-orders"


def listening(socket: str) -> str:
    """The command that waits until a daemon has opened its UNIX socket."""
    # ss(8) does not show it where the daemon has a network namespace of its own.
    return f"timeout 600 sh -c 'until [ -S {socket} ]; do sleep 0.2; done'"


@dataclass(frozen=True)
class Breakage:
    """One thing that goes wrong with a host, and what verify has to say about it."""

    name: str
    found: dict[str, str | tuple[str, ...]]
    """Each check that fails, and words of its message, in several places or in one; all others pass."""
    command: str = "true"
    """Run on the host."""
    dns: tuple[str, str, str] | None = None
    """Owner name, type and the value to put there; an empty one removes the records.

    A push creates what is missing, but leaves a strange value alone: the test removes it again.
    """
    undo: str = "true"
    """Where a deploy cannot know: what it never made, or what lives in the kernel alone."""


def unanswered(address: str, *ports: int, inside: bool = True) -> dict[str, str | tuple[str, ...]]:
    """What fails where nothing answers at an SMTP port any more."""
    ports_of = ", ".join(f"{address} port {port}" for port in ports)
    unseen = f"could not be looked at, see postfix.greets: {ports_of}"
    checks = ["relay.from_outside", "tls.versions", "tls.certificates", "smuggling.turns"]
    checks += ["relay.from_the_host"] if inside else []
    greets = f"{address} port {ports[0]} does not answer"
    return {"postfix.greets": greets, **dict.fromkeys(checks, unseen)}


# Each round breaks eu (Debian 12) in one way and us (Debian 13) in another.
ROUNDS = [
    (
        Breakage(
            "a port is opened with ufw",
            {
                "files.contents": "/etc/ufw/user.rules was changed",
                "firewall.ufw_rules": "not planned: 8080/tcp allow from Anywhere",
                "firewall.kernel_ipv4": "not planned: -A ufw-user-input -p tcp -m tcp --dport 8080",
                "firewall.kernel_ipv6": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8080",
            },
            "ufw allow 8080/tcp",
        ),
        Breakage(
            "a rule of ufw is deleted",
            {
                "files.contents": "/etc/ufw/user6.rules was changed",
                "firewall.ufw_rules": f"lacks the rule: {US6} 465/tcp allow from Anywhere (v6)",
                "firewall.kernel_ipv6": f"lacks the rule: -A ufw6-user-input -d {US6}/128 -p tcp",
                **unanswered(US6, 465, inside=False),
            },
            f"ufw delete allow to {US6} port 465 proto tcp",
        ),
    ),
    (
        Breakage(
            "ufw is switched off",
            {
                "files.contents": "/etc/ufw/ufw.conf was changed",
                "firewall.ufw_rules": "ufw is not active",
                "firewall.kernel_ipv4": "the kernel has no chain ufw-user-input",
                "firewall.kernel_ipv6": "the kernel has no chain ufw6-user-input",
                "firewall.kernel_all": "load nothing to compare with: is ufw enabled?",
                "firewall.egress": "port 25 out over IPv4 as root: connected, expected a refusal",
            },
            "ufw disable",
        ),
        Breakage(
            "a port is opened with iptables, past ufw",
            {"firewall.kernel_all": "not planned: -A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT"},
            "iptables -I INPUT -p tcp --dport 8081 -j ACCEPT",
            undo="iptables -D INPUT -p tcp --dport 8081 -j ACCEPT",
        ),
    ),
    (
        Breakage(
            "a port is opened with ip6tables, in ufw's own chain",
            {
                "firewall.kernel_ipv6": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8082",
                "firewall.kernel_all": "not planned: -A ufw6-user-input -p tcp -m tcp --dport 8082",
            },
            "ip6tables -I ufw6-user-input -p tcp --dport 8082 -j ACCEPT",
            undo="ip6tables -D ufw6-user-input -p tcp --dport 8082 -j ACCEPT",
        ),
        Breakage(
            "another program listens",
            {
                "sockets.as_planned": "python3 listens on tcp 127.0.0.1 port 8083, which is not planned"
            },
            # systemd-run returns once the program says that its port is open.
            "systemd-run --quiet --unit=stray --property=Type=notify --property=NotifyAccess=all"
            " python3 -c 'import signal, socket, subprocess;"
            ' s = socket.create_server(("127.0.0.1", 8083));'
            ' subprocess.run(["systemd-notify", "--ready"]); signal.pause()\'',
            undo="systemctl stop stray",
        ),
    ),
    (
        Breakage(
            "a signing key becomes readable by all",
            {"files.private_keys": f"{KEY} is 0644 opendkim:opendkim, expected 0600 opendkim"},
            f"chmod 644 {KEY}",
        ),
        Breakage(
            "the certificate's file becomes readable by all",
            {"files.private_keys": "tls/chain.pem is 0644 root:root, expected 0640 root:root"},
            "chmod 644 /etc/mailfleet/tls/chain.pem",
        ),
    ),
    (
        Breakage(
            "the signing table belongs to somebody else",
            {"files.owners": "signing.table is 0640 postfix:opendkim, expected 0640 root:opendkim"},
            "chown postfix /etc/opendkim/transactional.signing.table",
        ),
        Breakage(
            "the signer is stopped",
            {
                "services.running": "opendkim@marketing.service is not running",
                "sandbox.processes": "opendkim@marketing.service has no process to look at",
                **unanswered(US4, 587),
                # Mail that cannot be signed is not taken.
                **dict.fromkeys(
                    ("relay.from_outside", "relay.from_the_host"),
                    "answers 451 4.7.1 Service unavailable - try again later, expected a refusal",
                ),
                **dict.fromkeys(
                    ("tls.versions", "tls.certificates", "smuggling.turns"), f"{US4} port 587"
                ),
            },
            "systemctl stop opendkim@marketing",
        ),
    ),
    (
        Breakage(
            "a stream's instance is stopped",
            {
                "services.running": "postfix@postfix-marketing.service is not running",
                "sandbox.processes": "postfix@postfix-marketing.service has no process to look at",
                "sockets.as_planned": f"nothing listens on tcp {EU4} port 587",
                **unanswered(EU4, 465, 587),
            },
            "systemctl stop postfix@postfix-marketing",
        ),
        Breakage(
            "Dovecot does not start at boot, and a deploy was cut off",
            {
                "services.enabled": "dovecot.service is not enabled",
                "services.reloaded": "ufw.service still has to learn of a changed file",
                "services.leftover": "a.path is of an earlier deploy",
            },
            "cd /var/lib/mailfleet; >pending/ufw.service; echo a.path >>services; systemctl disable dovecot",
        ),
    ),
    (
        Breakage(
            "inbound becomes an open relay",
            {
                "files.contents": "/etc/postfix/main.cf was changed",
                "postfix.main_cf": "mynetworks is '0.0.0.0/0,[::]/0', expected '127.0.0.0/8 [::1]/128'",
                "inbound.recipients": "to <root@localhost>, expected a refusal",
                "relay.from_outside": "open relay: inbound at 198.51.100.10 port 25 for the world",
                "relay.from_the_host": "open relay: inbound at 198.51.100.10 port 25 for the host itself",
            },
            "postconf -c /etc/postfix mynetworks=0.0.0.0/0,[::]/0 default_transport=smtp"
            " && postfix reload",
        ),
        Breakage(
            "a user of the system has a mailbox, and abuse has none",
            {
                "files.contents": "/etc/postfix/aliases was changed",
                "inbound.recipients": (
                    "port 25 answers 250 2.1.5 Ok to <root@mta1.us.shop.test>, expected a refusal",
                    "to <abuse@mta1.us.shop.test>, expected 250: people write there",
                ),
            },
            "sed -i 's/(postmaster|abuse)@mta1/(postmaster|root)@mta1/' /etc/postfix/aliases"
            " && postfix reload",
        ),
    ),
    (
        Breakage(
            "inbound takes bare newlines, and commands out of turn",
            {
                "files.contents": "/etc/postfix/main.cf was changed",
                "postfix.main_cf": "smtpd_forbid_bare_newline is 'no', expected 'normalize'",
                "smuggling.ends": "port 25 takes LF.LF for the end of a message (it answers 250",
                "smuggling.turns": "port 25 answers commands out of turn with 250, 250, expected",
            },
            "postconf -c /etc/postfix smtpd_forbid_bare_newline=no"
            " smtpd_forbid_unauth_pipelining=no && postfix reload",
        ),
        Breakage(
            "the services that know receivers' TLS policies, and who inbound mail is from, are stopped",
            {
                "services.running": (
                    "mailfleet-tls-policy.service is not running",
                    "mailfleet-authentication.service is not running",
                ),
                "sandbox.processes": (
                    "mailfleet-tls-policy.service has no process to look at",
                    "mailfleet-authentication.service has no process to look at",
                ),
                "inbound.results": "nobody judges SPF, DKIM and DMARC ([Errno 2] No such file",
                "tls.outbound_policies": "no TLS policy can be asked for: postmap: fatal: table"
                " socketmap:unix:/run/mailfleet-tls-policy/socket:postfix",
            },
            "systemctl stop mailfleet-tls-policy mailfleet-authentication",
        ),
    ),
    (
        Breakage(
            "inbound takes mail with a route in its address",
            {
                "files.contents": "/etc/postfix/aliases was changed",
                "postfix.main_cf": "allow_untrusted_routing is 'yes', expected 'no'",
                "relay.from_outside": "to <relay-test%example.net@bounce.shop.test> is accepted",
                "relay.from_the_host": "to <relay-test%example.net@bounce.shop.test> is accepted",
            },
            "sed -i 's|^.*+@bounce|/@bounce|' /etc/postfix/aliases"
            " && postconf -c /etc/postfix allow_untrusted_routing=yes && postfix reload",
        ),
        Breakage(
            "submission offers old suites, and logins without TLS",
            {
                "files.contents": "/etc/postfix-marketing/main.cf was changed",
                "postfix.main_cf": "smtpd_tls_auth_only is 'no', expected 'yes'",
                "tls.versions": (
                    f"marketing submission at {US4} port 587 takes the suite ECDHE-ECDSA-",
                    f"marketing submission at {US4} port 587 offers logins without TLS",
                ),
            },
            "postconf -c /etc/postfix-marketing tls_medium_cipherlist=ALL:@SECLEVEL=0"
            " smtpd_tls_auth_only=no smtpd_tls_security_level=may"
            " && postfix -c /etc/postfix-marketing reload",
        ),
    ),
    (
        Breakage(
            "the certificate is replaced, and one with an RSA key is added",
            {
                "tls.certificates": (
                    "the certificate is not trusted: self-signed certificate",
                    "the installed ECDSA certificate is signed by the host itself",
                    "the installed RSA certificate does not cover ",
                    "1 RSA certificates are installed, expected 0",
                )
            },
            "cd /etc/mailfleet/tls && for kind in 'ec -pkeyopt ec_paramgen_curve:P-256' rsa:2048; do"
            " openssl req -x509 -newkey $kind -nodes -keyout /root/key -out /root/cert -days 5 -subj /"
            " -addext subjectAltName=DNS:x.test 2>/dev/null && cat /root/key /root/cert; done"
            f" > /root/chain && {NO_ORDERS} && cat /root/chain > chain.pem && postmulti -p reload",
            undo=ORDERS,
        ),
        Breakage(
            "submission asks for no login",
            {
                "files.contents": "/etc/postfix-marketing/main.cf was changed",
                "postfix.main_cf": "smtpd_relay_restrictions is 'permit_mynetworks, reject', expected",
                "relay.from_outside": f"open relay: marketing submission at {US4} port 587",
                "relay.from_the_host": f"open relay: marketing submission at {US4} port 587",
            },
            "postconf -c /etc/postfix-marketing mynetworks=0.0.0.0/0,[::]/0 smtpd_client_restrictions="
            " 'smtpd_relay_restrictions=permit_mynetworks, reject' smtpd_recipient_restrictions="
            " && postfix -c /etc/postfix-marketing reload",
        ),
    ),
    (
        Breakage(
            "a PTR record is removed",
            {"addresses.reverse_dns": f"{EU6} has no PTR record at ns.core.test"},
            dns=(ip_address(EU6).reverse_pointer, "PTR", ""),
        ),
        Breakage(
            "DNS has another key",
            {"dkim.published": f"{RECORD} has p=...qhkiG9w0BAQE at ns.core.test"},
            dns=(RECORD, "TXT", '"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQE"'),
        ),
    ),
    (
        Breakage(
            "Postfix listens on one more port",
            {
                "files.contents": "/etc/postfix-marketing/master.cf was changed",
                "postfix.master_cf": "service 2525 inet is not planned",
                "sockets.as_planned": "master listens on tcp 127.0.0.1 port 2525, which is not planned",
            },
            "postconf -c /etc/postfix-marketing -M '2525/inet=2525 inet n - n - - smtpd'"
            " && postfix -c /etc/postfix-marketing reload",
        ),
        Breakage(
            "a package is removed, and clamd's socket is for everybody",
            {
                "packages.installed": "package dns-root-data is not installed",
                "sockets.local": "every user of the host may connect to /run/clamav/clamd.ctl",
            },
            "dpkg --remove --force-depends dns-root-data; chmod 666 /run/clamav/clamd.ctl",
            undo="chmod 660 /run/clamav/clamd.ctl",
        ),
    ),
    (
        Breakage(
            "inbound speaks TLS 1.0",
            {
                "files.contents": "/etc/postfix/main.cf was changed",
                "postfix.main_cf": "smtpd_tls_protocols is '>=TLSv1', expected '>=TLSv1.2'",
                "tls.versions": "port 25 still takes TLSv1.1, expected TLS 1.2 or newer",
            },
            "postconf -c /etc/postfix 'smtpd_tls_protocols=>=TLSv1'"
            " tls_medium_cipherlist=ALL:@SECLEVEL=0 && postfix reload",
        ),
        Breakage(
            "a sending address is gone",
            {
                "addresses.configured": f"address {US4} is on no interface",
                "addresses.greeting": f"from {US4}, inbound at 198.51.100.10 port 25 cannot be reached",
                "web.challenges": f"{US4} port 80 does not answer",
                **unanswered(US4, 465, 587),
            },
            f"ip address del {US4}/24 dev $(ip -o addr show to {US4} | cut -d' ' -f2)",
            undo=f"ip address add {US4}/24 dev $(ip -o addr show to 203.0.113.10 | cut -d' ' -f2)",
        ),
    ),
    (
        Breakage(
            "clamd knows no virus and no limit",
            {
                "content_filter.viruses": "inbound: the scanner says accept to EICAR, expected 550",
                "content_filter.limits": (
                    "inbound: the scanner says accept to a mail with more levels than it looks into",
                    "stream marketing: the scanner says accept to a mail with more levels",
                ),
                "files.contents": "/etc/clamav/lab/eicar.ndb was changed",
            },
            "sed -i s/58354f21/58354f22/ /etc/clamav/lab/eicar.ndb"
            " && sed -i 's/^AlertExceedsMax.*/AlertExceedsMax no/' /etc/clamav/clamd.conf"
            " && systemctl restart clamav-daemon"
            f" && {listening('/run/clamav/clamd.ctl')}",
        ),
        Breakage(
            "amavis looks for no spam",
            {
                "content_filter.spam": "stream marketing: the scanner says accept to GTUBE, expected 550",
                "files.contents": "/etc/amavis/conf.d/60-mailfleet was changed",
            },
            "sed -i 's/^@bypass_spam_checks_maps = (0)/@bypass_spam_checks_maps = (1)/'"
            " /etc/amavis/conf.d/60-mailfleet && systemctl restart amavis"
            f" && {listening('/run/amavis/amavisd.sock')}",
        ),
    ),
]
