"""`mailfleet verify` names mail that stands still: there is no room for it, or somebody holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.test_verify import Breakage, break_and_judge

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

RESTORED = "/var/mail/mailfleet/restored.test"
# A message cannot be begun any more, which ends the look at the port.
_FULL_PORTS = "see postfix.greets: 198.51.100.10 port 25, 2001:db8:e0::10 port 25"
FULL: dict[str, str | tuple[str, ...]] = {
    "postfix.greets": "inbound at 198.51.100.10 port 25 does not answer as expected: 452 4.3.1 ",
    **dict.fromkeys(
        ("relay.from_outside", "tls.versions", "tls.certificates", "smuggling.ends",
         "smuggling.turns"), _FULL_PORTS
    ),
}  # fmt: skip
# The queue manager is stopped while the mail comes in, so that it is still there to be held.
HOLD = (
    "pid=$(pgrep -x qmgr -P $(cat /var/spool/postfix-marketing/pid/master.pid))"
    " && kill -STOP $pid && printf 'From: news@news.shop.test\\nTo: held@inbox.test\\n\\ntext\\n'"
    " | sendmail -C /etc/postfix-marketing -f news@news.shop.test held@inbox.test"
    ' && timeout 60 sh -c \'until [ "$(find /var/spool/postfix-marketing/incoming -type f -perm 700)" ];'
    " do sleep 0.1; done' && postsuper -c /etc/postfix-marketing -h ALL; kill -CONT $pid"
)

# Each round breaks eu (Debian 12) in one way and us (Debian 13) in another.
ROUNDS = [
    (
        Breakage(
            "the maildirs are full, and one is not Postfix's",
            {
                "inbound.room": (
                    "/var/mail/mailfleet is full, port 25 takes no mail: read or delete some",
                    f"{RESTORED} of root, mode 755: port 25 takes mail that cannot",
                ),
                "inbound.recipients": "answers 452 4.3.1 ",
                **FULL,
            },
            # Really full: the timer takes out a key that was only put into the table. A lab that was
            # started from another one's files has the table in overlayfs's lower layer, and who has it open
            # does not see the copy that the first change makes.
            f"install -d -o root {RESTORED} && fallocate -l 2100M {RESTORED}/large"
            " && touch /var/lib/mailfleet-maildirs/full.lmdb && postfix reload"
            " && systemctl start mailfleet-maildirs",
            undo=f"rm -r {RESTORED}; systemctl start mailfleet-maildirs",
        ),
        Breakage(
            "main.cf is edited, mail is on hold, and /tmp is full",
            {
                "capacity.space": "/tmp has 1 MB free, expected 200: make room",
                "postfix.hold": "postfix-marketing has mail on hold (1), which is neither delivered",
                "files.contents": "/etc/postfix-marketing/main.cf was changed",
                "postfix.main_cf": "smtpd_client_message_rate_limit is '0', expected '30000'",
            },
            f"postconf -c /etc/postfix-marketing smtpd_client_message_rate_limit=0; {HOLD};"
            " mount -t tmpfs -o size=1m small /tmp",
            undo="umount /tmp; postsuper -c /etc/postfix-marketing -d ALL hold",
        ),
    ),
]


@pytest.mark.parametrize(
    "breakages", ROUNDS, ids=lambda pair: " and ".join(breakage.name for breakage in pair)
)
def test_what_stands_still_is_named(
    deployed_lab: DeployedLab, breakages: tuple[Breakage, Breakage]
) -> None:
    break_and_judge(deployed_lab, breakages)
