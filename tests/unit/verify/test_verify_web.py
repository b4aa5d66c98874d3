"""How a web server's answers to questions for challenges are judged."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mailfleet.verify.web import Page, challenge_problems
from roles.web import PROBE, WEBROOT

pytestmark = pytest.mark.unit

PATH = PROBE.removeprefix(WEBROOT)
GOOD = Page(ip_address("192.0.2.10"), "mta1.eu.shop.example", PATH, 200, "text/plain", "us\n")


def test_the_file_is_named_as_a_challenge() -> None:
    # RFC 8555 8.3; nginx takes no other name.
    folder, name = PATH.rsplit("/", 1)
    assert folder == "/.well-known/acme-challenge"
    assert name.replace("-", "").isalnum()


def test_its_text_is_no_problem() -> None:
    assert challenge_problems([GOOD], "us\n") == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (replace(GOOD, status=0, error="does not answer: timed out"), "does not answer: timed out"),
        # What a web server says of every path that it does not know.
        (
            replace(GOOD, status=404, text="<h1>Not Found</h1>"),
            f"answers HTTP status 404 to {PATH}, expected 200: challenges of the certificate "
            "authority are not found",
        ),
        (
            replace(GOOD, status=301),
            f"answers HTTP status 301 to {PATH}, expected 200: challenges of the certificate "
            "authority are not found",
        ),
        (
            replace(GOOD, text="<h1>Welcome</h1>"),
            f"is answered by another web server: {PATH} is '<h1>Welcome</h1>', expected 'us\\n'",
        ),
    ],
)
def test_where_an_authority_would_find_no_challenge(page: Page, said: str) -> None:
    assert challenge_problems([GOOD, page], "us\n") == [f"192.0.2.10 port 80 {said}"]
