"""Judging the age of virus signatures."""

from __future__ import annotations

import pytest

from mailfleet.verify import signatures

pytestmark = pytest.mark.unit

NOW = 1_790_000_000
DAY = 86_400


@pytest.mark.parametrize(
    "said",
    [
        f"{NOW}\n{NOW - 7 * DAY}\n",
        # Two files for a moment, while freshclam replaces one by the other.
        f"{NOW}\n{NOW - 9 * DAY}\n{NOW - 60}\n",
    ],
)
def test_signatures_of_a_week(said: str) -> None:
    assert signatures.problems(said) == []


def test_old_signatures() -> None:
    assert signatures.problems(f"{NOW}\n{NOW - 8 * DAY}\n") == [
        "the virus signatures are of 2026-09-13, expected 7 days old at most, "
        "see 'journalctl -u clamav-freshclam' on the host"
    ]


@pytest.mark.parametrize("said", ["", f"{NOW}\n", f"{NOW}\nstat: cannot statx: No such file\n"])
def test_no_signatures(said: str) -> None:
    assert signatures.problems(said) == [
        "there are no daily signatures in /var/lib/clamav yet, "
        "see 'journalctl -u clamav-freshclam' on the host"
    ]
