"""`mailfleet verify` asks the judges, and names one that takes what it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.breakages import Breakage
from tests.lab.test_verify import break_and_judge

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROUND = (
    Breakage(
        "a judge takes a stranger for its stream",
        {
            "identity.judges": "stream transactional: the judge says accept to mail from a stranger,",
            "files.contents": "/etc/mailfleet/streams/transactional.json was changed",
        },
        'sed -i \'s/"bounce.shop.test"/&, "stranger.invalid"/\''
        " /etc/mailfleet/streams/transactional.json"
        " && systemctl restart mailfleet-message@transactional",
    ),
    Breakage(
        "a judge lets pass what is not signed",
        {
            "identity.judges": "the judge says accept to mail that nobody signed, expected 451 4.7.7",
            "files.contents": "/usr/local/lib/mailfleet/agent.pyz was changed",
            "services.code": "mailfleet-message@marketing.service runs other code",
        },
        # As long as before, so that the archive still is one.
        "sed -i 's/signing_domain in signers:/signing_domain != signers:/' /usr/local/lib/mailfleet/agent.pyz"
        " && systemctl restart mailfleet-message@marketing",
    ),
)


def test_a_judge_that_takes_what_it_must_not_is_named(deployed_lab: DeployedLab) -> None:
    break_and_judge(deployed_lab, ROUND)
