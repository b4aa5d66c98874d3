"""The host `receiver`: the lab's stand-in for a mailbox provider.

It takes mail for every recipient at the inbox domains, judges SPF, DKIM and DMARC the way a
provider does, writes the verdict into `Authentication-Results`, and keeps the mail as a file. Some
recipients behave otherwise, by the first word of their local part (`reject`, `reject-7`,
`reject+x`):

    reject   refused for good (550 5.7.1)        defer    refused for now (451 4.7.1)
    full     mailbox full (452 4.2.2)            bounce   taken, then bounced by mail (5.1.1)
"""

from __future__ import annotations

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from mailfleet.lab import addresses
from mailfleet.lab.ca import Certificate
from mailfleet.lab.hostfiles import HostFile, service

MAILBOX = "var/mail/inbox"
_OWNER = 5000
_MILTER = "/run/rspamd/milter.sock"
_SUFFIXES = ("test", "example", "com", "de", "eu", "fr", "jp", "co.jp", "net", "org", "uk", "co.uk")
"""Public suffixes that the judge knows; it takes ten seconds to digest the list of all of them."""


def files(certificate: Certificate) -> tuple[HostFile, ...]:
    """Everything that turns the image `receiver` into the lab's receiver."""
    return (
        HostFile("etc/mailname", f"{addresses.RECEIVER_NAME}\n"),
        HostFile("etc/postfix/main.cf", _main_cf()),
        HostFile("etc/postfix/master.cf", _MASTER_CF),
        HostFile("etc/postfix/recipients", _RECIPIENTS),
        HostFile("etc/postfix/transport", "/^bounce[-+@]/ smtp:[127.0.0.1]:2525\n"),
        HostFile("etc/postfix/nobody", "/./ 550 5.1.1 no such user here\n"),
        HostFile("etc/postfix/tls.pem", certificate.key + certificate.certificate, 0o600),
        HostFile("etc/rspamd/lab.conf", _rspamd_conf()),
        HostFile("etc/rspamd/suffixes", "".join(f"{suffix}\n" for suffix in _SUFFIXES)),
        HostFile(
            "etc/tmpfiles.d/lab.conf",
            f"d /run/rspamd 0755 _rspamd _rspamd\nd /{MAILBOX} 0700 {_OWNER} {_OWNER}\n",
        ),
        *service(
            "lab-judge",
            "Judge of SPF, DKIM and DMARC",
            "/usr/bin/rspamd -f -u _rspamd -g _rspamd -c /etc/rspamd/lab.conf",
        ),
        *service(
            "lab-mail",
            "Mail server of the lab's receiver",
            "/usr/sbin/postfix start-fg",
            before_start=("/usr/sbin/postfix check",),
        ),
    )


def messages(root: Path, containing: str = "") -> Iterator[EmailMessage]:
    """The mail that the receiver whose file tree is `root` has accepted, oldest first.

    Only what has the text `containing` somewhere, as it came over the wire.
    """
    folder = root / MAILBOX / "new"
    if not folder.is_dir():
        return
    parser = BytesParser(policy=policy.default)
    wanted = containing.encode()
    for path in sorted(folder.iterdir(), key=lambda entry: (entry.stat().st_mtime_ns, entry.name)):
        raw = path.read_bytes()
        # Parsing costs far more than reading, and the mailbox of a lab is never emptied.
        if wanted not in raw:
            continue
        message = parser.parsebytes(raw)
        assert isinstance(message, EmailMessage)
        yield message


def _main_cf() -> str:
    return f"""\
compatibility_level = 3.6
myhostname = {addresses.RECEIVER_NAME}
mydestination =
mynetworks =
inet_interfaces = all
inet_protocols = all
alias_maps =
maillog_file = /var/log/mail.log
smtputf8_enable = yes
virtual_mailbox_domains = {", ".join(addresses.INBOX_DOMAINS)}
virtual_mailbox_base = /{Path(MAILBOX).parent}
virtual_mailbox_maps = static:{Path(MAILBOX).name}/
virtual_uid_maps = static:{_OWNER}
virtual_gid_maps = static:{_OWNER}
transport_maps = regexp:/etc/postfix/transport
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access regexp:/etc/postfix/recipients
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = static:all
smtpd_forbid_unauth_pipelining = yes
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/tls.pem
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtpd_milters = unix:{_MILTER}
milter_default_action = tempfail
smtp_tls_security_level = may
"""


_RECIPIENTS = """\
/^reject[-+@]/ 550 5.7.1 refused by the policy of this lab
/^defer[-+@]/ 451 4.7.1 try again later
/^full[-+@]/ 452 4.2.2 mailbox full
"""

# Port 2525 refuses everyone: what is passed on to it was taken before, and so comes back by mail.
_MASTER_CF = """\
smtp       inet       n  -  n  -     -  smtpd
127.0.0.1:2525 inet   n  -  n  -     -  smtpd
  -o smtpd_milters=
  -o smtpd_recipient_restrictions=check_recipient_access,regexp:/etc/postfix/nobody
pickup     unix       n  -  n  60    1  pickup
cleanup    unix       n  -  n  -     0  cleanup
qmgr       unix       n  -  n  300   1  qmgr
tlsmgr     unix       -  -  n  1000? 1  tlsmgr
rewrite    unix       -  -  n  -     -  trivial-rewrite
bounce     unix       -  -  n  -     0  bounce
defer      unix       -  -  n  -     0  bounce
trace      unix       -  -  n  -     0  bounce
verify     unix       -  -  n  -     1  verify
flush      unix       n  -  n  1000? 0  flush
proxymap   unix       -  -  n  -     -  proxymap
proxywrite unix       -  -  n  -     1  proxymap
smtp       unix       -  -  n  -     -  smtp
relay      unix       -  -  n  -     -  smtp
showq      unix       n  -  n  -     -  showq
error      unix       -  -  n  -     -  error
retry      unix       -  -  n  -     -  error
discard    unix       -  -  n  -     -  discard
virtual    unix       -  n  n  -     -  virtual
anvil      unix       -  -  n  -     1  anvil
scache     unix       -  -  n  -     1  scache
postlog    unix-dgram n  -  n  -     1  postlogd
"""


def _rspamd_conf() -> str:
    # Only the three checks, all at the lab's resolver: no lists, no statistics, no refusal.
    return f"""\
options {{
  pidfile = "/run/rspamd/rspamd.pid";
  filters = "dkim";
  url_tld = "/etc/rspamd/suffixes";
  disable_hyperscan = true;
  local_addrs = ["127.0.0.0/8"];
  dns {{
    nameserver = ["{addresses.RESOLVER[0]}:53"];
    timeout = 5s;
    retransmits = 3;
    enable_dnssec = true;
  }}
}}
logging {{
  type = "console";
  level = "notice";
}}
modules {{
  path = "/usr/share/rspamd/plugins/spf.lua";
  path = "/usr/share/rspamd/plugins/dmarc.lua";
  path = "/usr/share/rspamd/plugins/milter_headers.lua";
}}
spf {{
  spf_cache_size = 0;
  spf_cache_expire = 1s;
}}
dkim {{
  dkim_cache_size = 0;
  dkim_cache_expire = 1s;
  time_jitter = 6h;
  trusted_only = false;
}}
dmarc {{
}}
milter_headers {{
  use = ["authentication-results"];
  skip_local = false;
  skip_authenticated = false;
  routines {{
    authentication-results {{
      remove = 0;
    }}
  }}
}}
actions {{
  reject = null;
  greylist = null;
  add_header = null;
}}
worker "rspamd_proxy" {{
  bind_socket = "{_MILTER} mode=0666";
  milter = yes;
  timeout = 60s;
  count = 1;
  upstream "local" {{
    default = yes;
    self_scan = yes;
  }}
}}
"""
