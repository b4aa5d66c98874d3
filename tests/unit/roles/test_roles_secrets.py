"""What holds a secret says so: plans and logs show the content of every other file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfleet.host.uri_lists import uri_lists
from roles import desired
from tests.unit.roles.test_roles import HOSTS, SUITES, target_of

pytestmark = pytest.mark.unit

KEY = "keyofacustomer0123456789"


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", HOSTS)
def test_a_file_with_a_secret_is_marked(kind: str, suite: str) -> None:
    target = replace(target_of(kind, suite), uri_lists=uri_lists(key=KEY))
    state = desired(target)
    secrets = (KEY, *target.logins.values())
    holding = {f.path for f in state.files if any(secret in f.content for secret in secrets)}
    assert holding == {f.path for f in state.files if f.secret}
    assert holding or not target.host.sending
    for action in state.actions:
        assert not any(secret in action.command for secret in secrets)
