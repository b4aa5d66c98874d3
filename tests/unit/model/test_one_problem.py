"""One mistake brings one problem: what was not understood is not judged as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.model.test_model_checks import MTA1, problems, stream

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "wrong",
    [
        {"lab": "bad name!"},
        {"acme": "prod"},
        {"acmee": "production", "acme": "production"},
        {"never_banned": ["x"], "acme": "production"},
    ],
)
def test_one_wrong_option_brings_no_second_problem(wrong: dict[str, Any]) -> None:
    enforcing = {"shop.example": {"streams": {"orders": stream()}, "mta_sts": {"mode": "enforce"}}}
    assert len(problems({"mta1.eu": MTA1}, enforcing, **wrong)) == 1
