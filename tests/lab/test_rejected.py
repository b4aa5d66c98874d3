"""What a daemon would refuse never goes live: a run with a wrong template fails and changes nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet.lab import namespaces
from mailfleet.verify import probe

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
# What a user's repository has; its own templates take the place of ours.
REPOSITORY = ("inventories", "dns", "deploys", "templates")
# All that a run could touch: contents, owners and modes, units with their processes, firewall rules. A
# timer's state changes whenever it is due.
STATE = r"""
sort -u /var/lib/mailfleet/files/* | xargs -d '\n' stat -c '%n %Y %i %a %U %G'
sort -u /var/lib/mailfleet/files/* | xargs -d '\n' sha256sum
grep -v '\.timer$' /var/lib/mailfleet/services |
  xargs systemctl show -p Id,ActiveState,MainPID,StateChangeTimestampMonotonic
iptables-save -t filter | grep '^-A ufw-user'; ip6tables-save -t filter | grep '^-A ufw6-user'
find /var/lib/mailfleet -name 'stage.*' -o -path '*/pending/*'
find /etc -name '*.mailfleet-new'
"""


@dataclass(frozen=True)
class Mistake:
    """A line at the end of a template, and what the error must look like: file, line and reason."""

    template: str
    line: str
    said: str


MISTAKES = {
    "a parameter that Postfix does not know": Mistake(
        "etc/postfix-stream/main.cf.j2",
        "smtpd_tls_securty_level = may",
        r" /etc/postfix-transactional/main\.cf:\d+:smtpd_tls_securty_level",
    ),
    "a line of main.cf without a value": Mistake(
        "etc/postfix/main.cf.j2",
        "smtpd_helo_required",
        r" /etc/postfix/main\.cf, line \d+: missing '='",
    ),
    "a parameter twice": Mistake(
        "etc/postfix-stream/main.cf.j2",
        "disable_vrfy_command = no",
        r" /etc/postfix-transactional/main\.cf, line \d+: overriding earlier entry: disable_vrfy",
    ),
    "a service with too few fields": Mistake(
        "etc/postfix-stream/master.cf.j2",
        "policy unix - n n - 0",
        r" /etc/postfix-transactional/master\.cf: line \d+: bad field count",
    ),
    "a keyword that OpenDKIM does not know": Mistake(
        "etc/opendkim/stream.conf.j2",
        "SignatureTime 5",
        r" /etc/opendkim/transactional\.conf: configuration error at line \d+: unrecognized parameter",
    ),
    "a brace that Dovecot misses": Mistake(
        "etc/dovecot/dovecot-{dovecot}.conf.j2",
        "service auth {",
        r"/etc/dovecot/dovecot\.conf.*(dovecot\.conf:|line )\d+",
    ),
    "a setting that unbound does not know": Mistake(
        "etc/unbound/unbound.conf.j2",
        "    control-enabled: no",
        r" /etc/unbound/unbound\.conf:\d+: error: unknown keyword 'control-enabled'",
    ),
    "a rule that iptables does not know": Mistake(
        "etc/ufw/user.rules.j2",
        "-A ufw-user-input -p tcp --dpart 26 -j ACCEPT",
        r"(?s)restore: .*line \d+ failed.* in /etc/ufw/user\.rules",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_it_never_goes_live(deployed_lab: DeployedLab, tmp_path: Path, mistake: Mistake) -> None:
    hosts = {deployed_lab.eu: "2.3", deployed_lab.us: "2.4"}
    before = {host: deployed_lab.on(host, STATE) for host in hosts}
    for folder in REPOSITORY:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    templates = tmp_path / "templates"
    for dovecot in hosts.values():
        path = templates / mistake.template.format(dovecot=dovecot)
        if mistake.line not in path.read_text().splitlines()[-1:]:
            path.write_text(path.read_text() + mistake.line + "\n")
    # A change that is right, in the same set of files: it must not go live either.
    with (templates / "etc/hosts.j2").open("a") as file:
        file.write("# a change that is right\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", "inventories/lab", "deploys/mta.py"],
        cwd=tmp_path, env=deployed_lab.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    for host in hosts:
        own = "\n".join(line for line in said.splitlines() if f"[{host}]" in line)
        assert re.search(mistake.said, own), own
        assert deployed_lab.on(host, STATE) == before[host]
    wanted = probe.probes(deployed_lab.fleet)
    verdicts = namespaces.inside(
        namespaces.internet(deployed_lab.name),
        lambda: list(probe.run(deployed_lab.fleet, wanted)),
    )
    assert [verdict.text for verdict in verdicts if not verdict.good] == []


def test_the_right_templates_still_change_nothing(deployed_lab: DeployedLab) -> None:
    again = deployed_lab.pyinfra("deploys/mta.py")
    assert again.changes == 0, again.output
