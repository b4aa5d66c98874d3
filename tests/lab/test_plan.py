"""`mailfleet plan` on real hosts: what it shows is what a deploy then does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

LIMIT = "\n[streams.marketing.limits]\nmessages_per_minute = 120\n"
MAIN_CF = "/etc/postfix-marketing/main.cf"
BY_HAND = """\
echo 'password = hunter2' >> /etc/postfix/main.cf
chmod 600 /etc/opendkim/trusted.hosts
echo 'x:{PLAIN}hunter2' >> /etc/dovecot/mailfleet/logins
systemctl stop nginx.service
touch /var/lib/mailfleet/pending/fail2ban.service
echo >> /usr/local/lib/mailfleet/agent.pyz
"""


def plan(lab: DeployedLab, inventory: str | Path, code: int) -> dict[str, Any]:
    done = lab.mailfleet("plan", str(inventory), "--json", "--expect-no-changes")
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["problems"] == []
    assert not any(zone["changes"] for zone in document["dns"]["zones"])
    return document


def test_an_edited_limit_is_one_line_and_one_reload(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    hosts = (deployed_lab.eu, deployed_lab.us)
    for host in hosts:
        deployed_lab.on(host, "touch /run/mailfleet-before")
    edited = deployed_lab.variant(tmp_path, lambda text: text + LIMIT)
    for host, found in plan(deployed_lab, edited, 3)["hosts"].items():
        (file,) = found.pop("files")
        assert (file["action"], file["path"]) == ("change", MAIN_CF)
        changed = [line for line in file["diff"][2:] if line[0] in "+-"]
        assert [line[0] for line in changed] == ["-", "+"]
        assert changed[1] == "+smtpd_client_message_rate_limit = 120"
        (unit,) = found.pop("units")
        assert unit["name"].startswith("postfix@")
        assert (unit["action"], unit["reasons"]) == ("reload", [MAIN_CF])
        assert found == {
            "pending": True,
            "packages": {
                "install": [],
                "remove": [],
                "finish": False,
                "make_room": [],
                "forget": [],
            },
            "certificate": {"replace": "", "order": ""},
            "keys": {"create": [], "guard": []},
            "files_to_finish": [],
            "problems": [],
            "notes": [],
        }, host
    for host in hosts:
        written = "find /etc /root /usr/local /var/lib/mailfleet /var/lib/dpkg -newer /run/mailfleet-before"
        assert deployed_lab.on(host, written).splitlines() == []
    # And with the inventory as it was, nothing is pending.
    assert not plan(deployed_lab, "inventories/lab", 0)["pending"]


def test_what_was_changed_by_hand_is_shown_and_a_deploy_undoes_it(
    deployed_lab: DeployedLab,
) -> None:
    hosts = (deployed_lab.eu, deployed_lab.us)
    try:
        for host in hosts:
            deployed_lab.on(host, BY_HAND)
        done = deployed_lab.mailfleet("plan", "inventories/lab")
        assert done.returncode == 0, done.stderr
        for line in (
            "~ /etc/postfix/main.cf",
            "    -password = ***",
            "~ /etc/opendkim/trusted.hosts: 0600 root:root becomes 0644 root:root",
            "~ /etc/dovecot/mailfleet/logins: its content is a secret, and not shown",
            "~ /usr/local/lib/mailfleet/agent.pyz: binary, ",
            "! nginx.service is started",
            "! fail2ban.service is re",
        ):
            assert done.stdout.count(f"\n  {line}") == len(hosts), done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        assert "$6$" not in done.stdout + done.stderr
    finally:
        deployed_lab.repair(dns=False)
    assert not plan(deployed_lab, "inventories/lab", 0)["pending"]
