"""Where things are on a mail host: every path that more than one module names. Pure.

A path that one module alone knows stands there; `tests/unit/test_house.py` finds those that several do.
Templates stand at the path that they have on a host, and name others as text.
"""

from __future__ import annotations

OWN_CONFIGURATION = "/etc/mailfleet"
TLS = f"{OWN_CONFIGURATION}/tls"
"""Key and certificates of the host."""
STREAM_CONFIGURATION = f"{OWN_CONFIGURATION}/streams"
"""What the message programs of the streams read, one file each."""

AGENT_CONFIGURATION = f"{OWN_CONFIGURATION}/agent"
"""What the programs of the agent read, one file each."""
PROGRAMS = "/usr/local/lib/mailfleet"

STATE = "/var/lib/mailfleet"
"""What deploys and the host's own programs remember."""
MANAGED_FILES = f"{STATE}/files"
"""A list of the files that the last deploy has put in place, for each set of files."""
CERTIFICATE_ORDERS = f"{STATE}/certificate"
METRICS = f"{STATE}/metrics"

OPENDKIM = "/etc/opendkim"
DKIM_KEYS = f"{OPENDKIM}/keys"

POSTFIX_LOGS = "/var/log/postfix"
MAIL = "/var/mail"
MAILDIRS = f"{MAIL}/mailfleet"
QUEUES = "/var/spool"

UNITS = "/etc/systemd/system"
SYSCTL = "/etc/sysctl.d/60-mailfleet.conf"
RESOLV_CONF = "/etc/resolv.conf"
SSHD_CONFIG = "/etc/ssh/sshd_config"
SSHD_DROP_INS = f"{SSHD_CONFIG}.d"
SSHD_DROP_IN = f"{SSHD_DROP_INS}/10-mailfleet.conf"
"""Ours, before the others: the first value of an option wins."""
UFW_RULES = "/etc/ufw/user.rules"
UFW_RULES_IPV6 = "/etc/ufw/user6.rules"
CLAMAV_DATABASE = "/var/lib/clamav"
SPAMASSASSIN_RULES = "/var/lib/spamassassin"


def configuration(instance: str) -> str:
    """The configuration folder of a Postfix instance."""
    return f"/etc/{instance}"


def queue(instance: str) -> str:
    """The queue folder of a Postfix instance."""
    return f"{QUEUES}/{instance}"


def data(instance: str) -> str:
    """The data folder of a Postfix instance."""
    return f"/var/lib/{instance}"
