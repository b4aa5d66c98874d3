"""No accepted mail is lost while scanners, signer and agents die: a short round of `bench faults`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import faults
from roles import postfix
from tests.lab.test_mail import SUITES

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

MESSAGES = 400


@pytest.mark.parametrize("region", ["eu", "us"])
def test_what_was_accepted_arrives(deployed_lab: DeployedLab, region: str) -> None:
    host = getattr(deployed_lab, region)
    unit = postfix.unit(SUITES[region], "postfix-marketing")
    seed = 20261122
    print(f"seed {seed}")
    try:
        found = faults.measure(deployed_lab.on, host, unit, MESSAGES, seed, (0.1, 0.8))
    finally:
        faults.clean(deployed_lab.on, host, unit)
        deployed_lab.repair()
    assert found.lost == []
    assert {name: len(accepted) for name, accepted in found.acked.items()} == {
        "scanned": MESSAGES // 2,
        "unscanned": MESSAGES // 2,
    }
    assert found.kills, "nothing was killed"
    print(found.kills, found.replies, f"{found.duplicates} duplicates")
